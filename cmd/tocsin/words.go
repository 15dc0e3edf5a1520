package main

import (
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// words are what people read, Chinese and English, by the id that JSON has.
// The Chinese terms are those of the statutes.
var words = map[string][2]string{
	"accepted": {"已接收", "accepted"}, "duplicate": {"重复", "duplicate"},
	"conflict": {"冲突", "conflict"}, "rejected": {"拒收", "rejected"},
	"durability": {"持久性", "durability"},

	"report": {"报告", "report"}, "forward": {"上报", "forward"}, "notify": {"通报", "notice"},
	"crime-notice": {"涉嫌犯罪通报", "crime notice"}, "update": {"更新", "update"}, "review": {"待人工处理", "needs a person"},

	"open": {"待签收", "open"}, "acknowledged": {"已签收", "acknowledged"},
	"overdue": {"逾期未签收", "overdue"}, "acknowledged-late": {"逾期签收", "acknowledged late"},
	"late": {"迟报", "late"},

	"first": {"初报", "first"}, "raised": {"升高", "raised"}, "lowered": {"降低", "lowered"},
	"unchanged": {"未变", "unchanged"}, "withdrawn": {"撤回", "withdrawn"}, "reinstated": {"恢复", "reinstated"},

	"grade": {"级别（初判）", "grade"}, "couldBe": {"可能为", "could be"}, "own": {"运营者研判", "operator's own"},
	"computed": {"初判", "computed"}, "because": {"依据", "because"}, "rises": {"级别将升高于", "rises at"},
	"unknown": {"未知", "unknown"}, "nobody": {"无须报送", "nobody must be told"},
	"promptly": {"及时", "promptly"}, "by": {"时限", "by"}, "from": {"自", "from"},
	"peak": {"最高曾为", "peak"}, "revision": {"第 %d 版", "revision %d"}, "told": {"报送", "told"},
	"onBehalf":       {"自动转报，未经核实；授权", "forwarded by machine, not verified; authority"},
	"undesignated":   {"该部门未指定本渠道", "the department has not designated this channel"},
	"story-accepted": {"收到", "received"}, "story-graded": {"定级", "graded"}, "story-escalated": {"报送", "told"},
	"story-acknowledged": {"签收", "acknowledged"}, "story-unhandled": {"待人工处理", "needs a person"},
	"unverified": {"未核实", "unverified"}, "interpretation": {"解释", "interpretation"}, "secondary": {"间接来源", "secondary source"},
}

var gradeNames = map[event.Grade][2]string{
	event.EspeciallyGrave: {"特别重大", "especially grave"}, event.Major: {"重大", "major"},
	event.RelativelyLarge: {"较大", "relatively large"}, event.General: {"一般", "general"},
	event.Ungraded: {"未定级", "ungraded"},
}

func (e *environment) pick(w [2]string) string {
	if e.lang == "zh" {
		return w[0]
	}
	return w[1]
}

func (e *environment) word(id string) string {
	if w, ok := words[id]; ok {
		return e.pick(w)
	}
	return id
}

func (e *environment) gradeName(g event.Grade) string { return e.pick(gradeNames[g]) }

// confidence marks every figure that was not read in the text itself.
func (e *environment) confidence(c event.Confidence) string {
	if c == event.ConfidenceText {
		return ""
	}
	return " [" + e.word(string(c)) + "]"
}

// time prints a moment in the zone of the statutes.
func (e *environment) time(t *time.Time) string {
	return t.In(beijing).Format("2006-01-02 15:04:05.000 -07:00")
}

var beijing = time.FixedZone("+08:00", 8*60*60)
