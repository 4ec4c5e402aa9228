// What a little script can do for whoever runs scripts; without it everything works.

// A form that only passes something on is sent by itself. A field named submit
// would be what form.submit is, and so the method is taken from where it is.
for (const form of document.querySelectorAll('form[data-passes-on]')) HTMLFormElement.prototype.submit.call(form)

// A password can be looked at. It is hidden again before it is sent, or browsers
// would remember it like any other text.
for (const button of document.querySelectorAll('button[data-hide]')) {
  const field = document.getElementById(button.getAttribute('aria-controls'))
  const show = button.textContent
  const turn = (visible) => {
    field.type = visible ? 'text' : 'password'
    button.textContent = visible ? button.dataset.hide : show
  }
  button.addEventListener('click', () => turn(field.type === 'password'))
  field.form.addEventListener('submit', () => turn(false))
  addEventListener('pagehide', () => turn(false)) // whoever comes back to the page is somebody else, perhaps
  button.hidden = false
}

// Times are told as the person's clock has them, and the exact one on hover.
// They are written as the person's part of the world does it, in the page's language.
const shown = document.documentElement.lang
const language = navigator.languages.find((l) => l.split('-')[0] === shown) ?? shown
const day = 24 * 60 * 60 * 1000
const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate())
for (const time of document.querySelectorAll('time')) {
  const at = new Date(time.dateTime)
  const days = Math.round((midnight(at) - midnight(new Date())) / day)
  const near = days === 0 || days === -1
  const date = near
    ? new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(days, 'day')
    : new Intl.DateTimeFormat(language, { dateStyle: 'long' }).format(at)
  const clock = new Intl.DateTimeFormat(language, { timeStyle: 'short' }).format(at)
  time.title = new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'long' }).format(at)
  time.textContent = near ? `${date} ${clock}` : date
}
