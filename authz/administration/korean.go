package administration

// korean says in Korean what each scope allows.
var korean = map[string]string{
	All:          "서버를 관리",
	APIsRead:     "등록된 API 보기",
	APIsWrite:    "API 등록, 변경, 삭제",
	ClientsRead:  "등록된 클라이언트 보기",
	ClientsWrite: "클라이언트 등록, 변경, 삭제",
	UsersRead:    "사용자 보기",
	UsersWrite:   "사용자 등록, 변경, 삭제",
	SessionsRead: "로그인 세션 보기",
	SessionsEnd:  "로그인 세션 종료",
	GrantsRead:   "앱에 허용된 접근 권한 보기",
	GrantsRevoke: "앱에 허용된 접근 권한 취소",
	CutsMake:     "발급된 토큰 취소",
	KeysRead:     "서명 키와 그 상태 보기",
	KeysWrite:    "서명 키 교체 및 폐기",
	AuditRead:    "감사 로그 읽기",
	OverviewRead: "서버 현황 보기",
}
