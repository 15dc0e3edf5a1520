package render

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// words are the user's texts, Chinese and English, by the id used in JSON. The Chinese
// terms are those of the statutes.
var words = map[string][2]string{
	"accepted": {"已接收", "accepted"}, "duplicate": {"重复", "duplicate"},
	"conflict": {"冲突", "conflict"}, "rejected": {"拒收", "rejected"},
	"durability": {"持久性", "durability"}, "entry": {"日志条目哈希", "entry in the log"},

	"report": {"报告", "report"}, "forward": {"上报", "forward"}, "notify": {"通报", "notice"},
	"crime-notice": {"涉嫌犯罪通报", "crime notice"}, "update": {"更新", "update"}, "review": {"待人工处理", "needs a person"},

	"type-initial": {"初报", "initial"}, "type-progress": {"续报", "progress"}, "type-final": {"处置总结报告", "final"}, "type-withdrawal": {"撤回", "withdrawal"},

	"watch-lost":   {"服务器无应答，连接已中断；恢复后补显期间内容", "connection lost: the server does not answer; new escalations are shown once it answers again"},
	"watch-back":   {"连接已恢复", "connected again"},
	"watch-shared": {"另有屏幕使用同一名称 %s，两屏各只显示一部分：请用 --client 为其中之一另行命名", "another screen has the same name, %s, so each shows only a part: name one of them differently with --client"},
	"watch-alone":  {"使用名称 %s 的另一屏幕已离开，本屏重新显示全部", "the other screen named %s has disconnected: this one shows everything again"},

	"open": {"待签收", "open"}, "acknowledged": {"已签收", "acknowledged"},
	"overdue": {"逾期未签收", "overdue"}, "acknowledged-late": {"逾期签收", "acknowledged late"},
	"own-act": {"本席位自己的处置，无需签收", "own act: nothing to acknowledge"},
	"late":    {"迟报", "late"},

	"first": {"初报", "first"}, "raised": {"升高", "raised"}, "lowered": {"降低", "lowered"},
	"unchanged": {"未变", "unchanged"}, "withdrawn": {"撤回", "withdrawn"}, "reinstated": {"恢复", "reinstated"},

	"possible": {"可能须报送", "could have to be told"}, "nobody-yet": {"目前无须报送", "nobody has to be told so far"},
	"if-grade": {"如达到%s", "if it is %s"}, "if-facts": {"取决于 %s", "depending on %s"},
	"kind-met": {"情形", "kind"},

	"law-discovered": {"适用，发现时已施行", "applies, in force at the discovery"},
	"law-continuing": {"适用，施行时事件仍在持续", "applies, came into force while it lasted"},
	"law-undated":    {"适用，未报发现时间", "applies, in force now; the discovery is not reported"},
	"law-not-yet":    {"不适用，发现时尚未施行", "does not apply, not in force at the discovery"},
	"law-no-longer":  {"不适用，发现时已失效", "does not apply, no longer in force at the discovery"},

	"grade": {"级别（初判）", "grade"}, "couldBe": {"可能为", "could be"}, "own": {"运营者研判", "operator's own"},
	"computed": {"初判", "computed"}, "because": {"依据", "because"}, "rises": {"级别升高时间", "rises at"},
	"unknown": {"未知", "unknown"}, "nobody": {"无须报送", "no desk must be notified"},
	"outdated": {"所述时间早于已知情况，未采用", "older than the known facts, not applied"},
	"waiting":  {"不再报送任何内容：清算系统中断将满一小时……", "No further report follows: the outage of the clearing system is about to reach one hour …"},
	"promptly": {"及时", "promptly"}, "by": {"时限", "by"}, "from": {"自", "from"},
	"peak": {"最高曾为", "peak"}, "revision": {"第 %d 版", "revision %d"}, "told": {"报送", "told"},
	"follow-up": {"报告后应补", "owed after reporting"}, "report-final": {"处置总结报告", "final summary"},
	"report-notification": {"事件通报", "notification"}, "report-intermediate": {"中期报告", "intermediate report"}, "report-progress": {"进展报告", "progress report"},
	"clock-discovered": {"自发现或获知", "from discovery"}, "clock-reported": {"自收到报告", "from the report"},
	"clock-graded": {"自定级", "from grading"}, "clock-handled": {"自处置结束", "from the end of handling"},
	"clock-classified": {"自运营者定级", "from classification"}, "clock-ransom-paid": {"自支付赎金", "from payment of the ransom"},
	"clock-oral-notice": {"自口头通知", "from the oral notice"}, "clock-stage": {"自 %s 报送", "from %s"}, "clock-latest": {"自最近一次 %s 报送", "from the last %s"},
	"or-earlier": {"；先到者为准：", "; or, if it ends earlier, "}, "every": {"每 %s一次", "every %s"}, "then-every": {"，此后每 %s一次", ", and then every %s"}, "on-request": {"应要求报送", "on request"},
	"consequence":  {"法律后果", "what the text says of failing it"},
	"not-loaded":   {"未加载：登记册中没有 %s 的设施", "not loaded: the register has no facility in %s"},
	"onBehalf":     {"自动转报，未经核实；授权", "forwarded automatically, not verified; authority"},
	"undesignated": {"该部门未指定本渠道", "the department has not designated this channel"},

	"text": {"与原文核对", "compared with the text"}, "unverified": {"未核实", "unverified"}, "interpretation": {"解释", "interpretation"}, "secondary": {"间接来源", "secondary source"},

	"exercise": {"演练", "drill"}, "transfer": {"移送", "handed on"}, "notice": {"提示", "notice"},
	"imported": {"补录，不计时", "imported, no clock runs"}, "imported-report": {"补录", "imported"}, "no-clock": {"不计时", "no clock runs"},
	"imported-count": {"补录，不计时，未列出", "imported, no clock runs, not listed"}, "acknowledge-by": {"签收目标", "acknowledge by"},
	"delayed":        {"本系统延误，收到时未迟", "received in time; delayed here"},
	"late-corrected": {"按更正后的发现时间迟报 %s", "late by %s from the corrected time of discovery"},
	"late-by":        {"迟报 %s", "late by %s"}, "strictly": {"严格自发现起算：时限 %s", "strictly, from discovery: due %s"},
	"determined": {"认定", "determined"}, "transferred-by": {"由 %s（%s）移送：%s", "handed on by %s (%s): %s"},
	"confirmed-by":   {"经 %s 确认；授权：", "confirmed by %s; authority: "},
	"held":           {"向 %s 的上报待人工确认；%s 将未经核实自动上报；%s", "the forward to %s awaits confirmation and is sent at %s as unverified; %s"},
	"notice-overdue": {"%s 未按时签收 %s，报送于 %s，目标 %s", "%s has not acknowledged %s, sent at %s, target %s"},
	"notice-away":    {"%s 自 %s 无人值守；%s 的目标为 %s", "%s has had no screen since %s; the target of %s is %s"},

	"lasts-on":      {"没有结束时间：处置虽已结束，仍继续计时；请以续报重新填写，并填写 until（结束时间）", event.OngoingWarning},
	"clock-goes-on": {" 没有结束时间，继续计时，直至续报重新填写并给出 until（结束时间）", event.OngoingNoteEnd},

	"init-offline": {"请将 %s 移至离线介质保存：只有 tocsin credential signing-key 需要它。\n", "Move %s to offline storage: only tocsin credential signing-key needs it.\n"},
	"init-next":    {"其他凭证由 tocsin credential add 生成；tocsin serve --data %s 只接受持有凭证者。\n", "Create the other credentials with tocsin credential add; tocsin serve --data %s rejects everybody without one.\n"},
	"init-done":    {"身份目录  %s\n管理员    %s\n", "identities  %s\nadmin       %s\n"},
	"revoked-now":  {"已撤销 %s/%s\n", "revoked %s/%s\n"},

	"credentials":   {"角色\t标识\t可见范围\t启用时间\t到期时间\t令牌\t密钥", "ROLE\tID\tSEES\tSINCE\tEXPIRES\tTOKENS\tKEY"},
	"role-operator": {"运营者", "operator"}, "role-desk": {"席位", "desk"}, "role-regulator": {"监管", "regulator"}, "role-admin": {"管理员", "admin"},
	"level-national": {"国家", "national"}, "level-province": {"省", "province"}, "level-prefecture": {"市", "prefecture"},
	"revoked": {"已撤销", "revoked"}, "expired": {"（已到期）", " (expired)"}, "expires-in": {"（剩 %d 天）", " (in %d days)"},
	"never-expires":  {"不到期", "-"},
	"expiry-warning": {"tocsin：%s 的凭证到期时间为 %s%s：请以 tocsin credential rotate 更换\n", "tocsin: the credential of %s expires at %s%s: replace it with tocsin credential rotate\n"},

	"owed": {"待补报", "owed"}, "owed-late": {"逾期未报", "late, still owed"}, "owes-nothing": {"无待补报事项", "nothing is owed"},
	"owes-items": {"补报", "items"}, "owes-report": {"提交", "report"}, "owes-ask": {"要求补报", "asked for"},
	"asked-by":         {"%s（%s）要求：%s", "requested by %s (%s): %s"},
	"after-handled":    {"处置结束后 %s内", "%s after handling ends"},
	"after-discovered": {"发现或获知后 %s内", "%s after discovery"},
	"after-reported":   {"收到报告后 %s内", "%s after the report"},
	"after-graded":     {"定级后 %s内", "%s after grading"}, "after-classified": {"运营者定级后 %s内", "%s after classification"},
	"after-oral-notice": {"口头通知后 %s内", "%s after the oral notice"}, "after-ransom-paid": {"支付赎金后 %s内", "%s after the ransom is paid"},
	"after-stage": {"%s内，自 %s 报送起算", "%s after %s"}, "calendar-ends": {"（日历止于 %s，此后节假日未知）", " (its calendar ends on %s: later holidays are not known)"},
	"after-latest": {"%s内，自最近一次 %s 报送起算", "%s after the last %s"},
	"limit-rolls":  {"%s（届满日休息的，至下一工作日 %s）", "%s (on a day off, until %s of the next working day)"},
	"one-day":      {"1 日", "1 day"}, "some-day": {"%s 日", "%s days"}, "one-month": {"1 个月", "1 month"}, "some-month": {"%s 个月", "%s months"},
	"one-minute": {"1 分钟", "1 minute"}, "some-minute": {"%s 分钟", "%s minutes"},
	"one-hour": {"1 小时", "1 hour"}, "some-hour": {"%s 小时", "%s hours"}, "one-working-day": {"1 个工作日", "1 working day"}, "some-working-day": {"%s 个工作日", "%s working days"},
	"unit-d": {"天", "d"}, "unit-h": {"小时", "h"}, "unit-m": {"分钟", "m"}, "unit-s": {"秒", "s"}, "unit-ms": {"毫秒", "ms"},

	"target": {"签收目标", "target"}, "since": {"自", "since"}, "next-desk": {"无应答时告知", "on silence:"},
	"here": {"在线", "here"}, "never": {"从未上线", "never had a screen"}, "last-seen": {"最后在线 %s（%s前）", "last seen %s (%s ago)"},
	"handover": {"交接班", "hand-over"}, "rising": {"%s内级别将升高", "grade rises within %s"},
	"held-forwards": {"待确认的上报", "forwards that await confirmation"}, "notices": {"提示：其他席位无应答等", "notices: other desks that do not respond"},

	"drill-report": {"演练报告", "drill report"}, "by-desk": {"按席位", "by desk"}, "by-operator": {"按运营者", "by operator"},
	"drill-desk":     {"报送 %d，按时签收 %d，逾期签收 %d，逾期未签收 %d，待签收 %d；报送迟于法定时限：报送方迟 %d，本系统延误 %d；提示 %d", "told %d, acknowledged in time %d, late %d, overdue %d, open %d; told after the law's limit: late by the sender %d, delayed here %d; notices %d"},
	"drill-took":     {"签收用时中位 %s，最长 %s", "median %s, slowest %s"},
	"drill-operator": {"事件 %d，迟报 %d", "incidents %d, late reports %d"}, "drill-latest": {"最迟 %s", "by up to %s"},
	"drill-corrected": {"按更正后的发现时间迟报的事件 %d", "incidents late by the corrected time of discovery: %d"},
	"drill-clock":     {"按演练时钟，现在是 %s（演练报告请填写此时间）；按本机时钟，是 %s", "drill clock: %s (use this time in reports of the drill); machine clock: %s"},

	"of-grade": {"级别", "grade"}, "of-desk": {"席位", "desk"}, "of-sector": {"行业", "sector"}, "of-region": {"地区", "region"}, "of-statute": {"依据", "statute"}, "of-month": {"月份", "month"},
	"stats-told": {"报送", "told"}, "stats-in-time": {"按时报送", "told in time"}, "stats-late": {"迟报", "late"}, "stats-none": {"（无）", "(none)"},
	"stats-acknowledged": {"按时签收", "acknowledged in time"}, "stats-late-ack": {"逾期签收", "late ack"}, "stats-overdue": {"逾期未签收", "overdue"},

	"records":       {"条记录", "records"},
	"log-state":     {"记录 %d 条；检查点覆盖 %d 条；可查询 %d 条；已移除 %d 条", "%d records; the checkpoint covers %d; queries cover %d; %d were removed"},
	"log-checked":   {"最近一次全面核验无误：%s", "last check without findings: %s"},
	"log-unchecked": {"启动以来未核验", "not checked since the start"},
	"log-keep":      {"存储未满 %d 个月的记录不得归档", "records younger than %d months are never archived"},
	"log-whole":     {"未发现损坏", "no damage is known"},
	"log-damaged":   {"发现损坏 %d 处：", "DAMAGE (%d):"},
	"damage-cut":    {"记录被截断", "cut off"}, "damage-missing": {"记录缺失", "missing"}, "damage-changed": {"记录被改动", "changed"}, "damage-tree": {"哈希树损坏", "tree"},
	"proved":          {"%s：证明记录 #%d 在 %d 条记录的检查点之内，根哈希 %s", "%s: proves that record #%d is among the %d of the checkpoint, root %s"},
	"proved-growth":   {"%s：证明 %d 条记录的日志延续自当时 %d 条记录的日志，根哈希 %s", "%s: proves that the log of %d records extends that of %d, root %s"},
	"audited":         {"已核验 %d / %d 条记录，其中已移除 %d 条，用时 %s", "checked %d of %d records, %d of them removed, in %s"},
	"audit-against":   {"对照检查点：%s，%d 条记录，根哈希 %s", "compared with the checkpoint of %s: %d records, root %s"},
	"exported":        {"%s：记录 %s，现存 %d 条，已移除 %d 条；检查点 %d 条记录；证据清单 SHA-256 %s", "%s: records %s, %d present, %d removed; checkpoint of %d records; manifest SHA-256 %s"},
	"redact-ask":      {"移除后无法恢复：记录将不复存在，只留下其哈希和移除记录；其他记录的证明不受影响。确定移除？", "This cannot be undone: the record will be removed. Its hash and a record of the removal remain, and the proofs of all other records stay valid. Remove it?"},
	"redact-gone":     {"不在日志中", "is not in the log"},
	"redact-accepted": {"已移除", "removed"}, "redact-duplicate": {"此前已移除", "removed before"}, "redact-rejected": {"拒绝移除", "not removed"},
	"redact-record":    {"移除记录 #%d", "removal #%d"},
	"redact-copies":    {"同一事件的下列记录可能含有相同内容，须另行处理：%s", "these records of the incident may repeat the content and need separate orders: %s"},
	"archive-verified": {"%s：记录 %s，%d 条，已核验；证据清单 SHA-256 %s", "%s: records %s, %d present, verified; manifest SHA-256 %s"},
	"archive-ask":      {"记录 %s 将移出日志，只留下哈希；此后内容仅存于该文件夹。确定归档？", "Records %s will be removed from the log and only their hashes remain; the folder is then the only copy. Archive them?"},
	"archived":         {"已归档 %d 条，保留 %d 条（仍需使用）；请妥善保管 %s", "archived %d records, kept %d that are still needed; store %s safely"},
	"read-story":       {"全部经过", "the story"},
	"story-signed":     {"[%s 签名]", "[signed by %s]"}, "story-signed-at": {"[%s 于 %s 签名]", "[signed by %s at %s]"}, "story-forged": {"签名不成立", "THE SIGNATURE DOES NOT HOLD"},
	"by-order": {"，依令 %s（%s）", ", by order %s (%s)"}, "by-age": {"，到期归档，见证据清单 %s（%s）", ", by age, into the export with manifest %s (%s)"},
	"away": {"无人值守", "away"}, "reminder": {"提醒", "reminder"},
	"field-title": {"名称", "title"}, "field-source": {"发布", "issued by"}, "field-rank": {"效力位阶", "rank"}, "field-effective": {"施行", "in force"},
	"field-jurisdiction": {"法域", "jurisdiction"}, "field-zone": {"时区", "time zone"}, "field-calendar": {"日历", "calendar"}, "field-note": {"说明", "note"},
	"field-grade": {"级别", "grade"}, "field-for": {"适用", "applies to"}, "field-when": {"条件", "when"}, "field-citation": {"依据", "article"}, "field-quote": {"原文", "words"},
	"field-confidence": {"核实程度", "confidence"}, "field-from": {"报送方", "from"}, "field-to": {"接收方", "to"}, "field-act": {"方式", "act"}, "field-within": {"时限", "within"},
	"field-items": {"内容", "items"}, "field-manual": {"由人确定接收方", "a person chooses the recipients"}, "field-report": {"报告", "report"}, "field-keep": {"留存", "keep"},
	"field-kind": {"类型", "kind"}, "field-words": {"取值", "values"}, "field-of": {"对应", "of"}, "field-text": {"文本", "text"},
	"about-incident": {"事件", "incidents"}, "about-threat": {"威胁", "threats"}, "grade-from": {"%s以上", "%s or graver"}, "list-and": {"，", ", "},
	"is-cii": {"关键信息基础设施", "CII"}, "no-cii": {"非关键信息基础设施", "not CII"}, "is-central": {"中央和国家机关", "central organs"}, "no-central": {"非中央和国家机关", "not central organs"},
	"party-operator": {"运营者", "the operator"}, "party-protection": {"保护工作部门", "protection department"}, "party-public-security": {"公安机关", "public security"},
	"party-cyberspace": {"网信部门", "cyberspace department"}, "party-cyberspace-office": {"本部门网信工作机构", "the organ's own cyberspace body"}, "party-departments": {"有关部门", "the departments concerned"},
	"party-sector-regulator": {"行业监管部门", "sector regulator"}, "party-communications": {"通信管理部门", "communications administration"}, "party-cryptography": {"密码管理部门", "cryptography administration"},
	"party-data-regulator": {"数据监管部门", "data regulator"}, "party-csirt": {"应急响应小组（CSIRT）", "CSIRT"}, "party-affected-persons": {"受影响的人", "the persons affected"},
	"except-sector": {"行业 %s 除外", "sectors other than %s"}, "own-incident": {"该设施自身的事件", "an incident of the facility's own"},
	"at-national": {"国家级", "national"}, "at-province": {"省级", "of the province"}, "at-prefecture": {"地市级", "of the prefecture"}, "at-county": {"县级", "of the county"}, "at-own": {"与运营者同级", "of the operator's level"},
	"all-of": {"全部满足", "all of"}, "any-of": {"任一满足", "any of"}, "some-of": {"至少满足 %d 项", "at least %d of"},
	"graded-under": {"达到%s以上（%s）", "%s or graver under %s"}, "judged-from": {"研判为%s以上", "judged %s or graver"}, "earlier-within": {"%v 内此前事件不少于 %d 起", "within %v at least %d earlier incidents"},
	"or-share": {"%s，或者 %s 的%s，取较低者", "%s, or %s of %s, whichever is lower"}, "no": {"否", "no"},
	"of-operators-place": {"运营者所在地", "where the operator is"}, "yes": {"是", "yes"}, "diff-none": {"没有不同", "nothing differs"}, "says-nothing": {"（无）", "(nothing)"},
	"incidents": {"起事件", "incidents"}, "replay-last": {"最后", "at last"},
	"replay-sum":     {"重新判定事件 %d 起，结果不同 %d 起", "%d incidents decided again, %d come out otherwise"},
	"replay-earlier": {"另有 %d 起在 --since 之前首报，未判定", "%d more were first reported before --since and were left out"},
	"replay-failed":  {"另有 %d 起无法判定，见标准错误", "%d more could not be decided: see standard error"},
}

var gradeNames = map[event.Grade][2]string{
	event.EspeciallyGrave: {"特别重大", "especially grave"}, event.Major: {"重大", "major"},
	event.RelativelyLarge: {"较大", "relatively large"}, event.General: {"一般", "general"},
	event.Ungraded: {"未定级", "ungraded"},
}

// Pick returns the first text for Chinese, the second for English.
func (p *Printer) Pick(w [2]string) string {
	if p.Lang == "zh" {
		return w[0]
	}
	return w[1]
}

// Word returns a word by its id, or the id where there is none.
func (p *Printer) Word(id string) string {
	if w, ok := words[id]; ok {
		return p.Pick(w)
	}
	return id
}

// GradeName returns the name of a grade.
func (p *Printer) GradeName(g event.Grade) string { return p.Pick(gradeNames[g]) }

// Citation returns a citation in the language of the user, in English where its Chinese is
// not known.
func (p *Printer) Citation(en, zh string) string {
	if p.Lang == "zh" && zh == "" && p.Citations != nil {
		zh = p.Citations()[en]
	}
	if p.Lang == "zh" && zh != "" {
		return zh
	}
	return en
}

// Confidence marks every figure that was not read in the text itself.
func (p *Printer) Confidence(c event.Confidence) string {
	if c == event.ConfidenceText || c == "" { // earlier records have none with a rise
		return ""
	}
	return " [" + p.Word(string(c)) + "]"
}

// Time prints a moment at +08:00.
func (p *Printer) Time(t *time.Time) string {
	return t.In(event.Beijing).Format("2006-01-02 15:04:05.000 -07:00")
}
