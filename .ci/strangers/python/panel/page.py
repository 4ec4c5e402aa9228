# Panel runs this for each session; the page's title says who is signed in.
import panel as pn

user = pn.state.user_info or {}
pn.state.curdoc.title = f"{user.get('name')}, {user.get('email')}"
pn.pane.JSON(user).servable()
