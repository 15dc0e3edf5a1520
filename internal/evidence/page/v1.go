package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

//go:embed v1.html
var v1 string

// versions are all versions of the page that any export was made with.
var versions = map[string]*template.Template{
	"tocsin/page/1": template.Must(template.New("page").Funcs(template.FuncMap{
		"both": both, "mark": mark, "time": timeAt, "grade": both, "late": lateBy, "span": span, "removed": removed,
		"whose": func(d duty, t *told) bool {
			return d.DueAt != nil && !t.Cause.At.IsZero() && !t.Cause.At.After(*d.DueAt)
		},
		"isOwnAct": (*told).isOwnAct,
		"isLate": func(t *told) bool {
			return t.AcknowledgedAt != nil && (t.OverdueAt != nil || t.AcknowledgeBy != nil && t.AcknowledgedAt.After(*t.AcknowledgeBy))
		},
	}).Parse(v1)),
}

// words1 are the words of version 1, Chinese and English.
var words1 = map[string][2]string{
	"especially-grave": {"特别重大", "especially grave"}, "major": {"重大", "major"}, "relatively-large": {"较大", "relatively large"},
	"general": {"一般", "general"}, "ungraded": {"未定级", "ungraded"},
	"report": {"报告", "report"}, "forward": {"上报", "forward"}, "notify": {"通报", "notice"}, "crime-notice": {"涉嫌犯罪通报", "crime notice"},
	"update": {"更新", "update"}, "review": {"待人工处理", "needs a person"}, "transfer": {"移送", "handed on"}, "notice": {"提示", "notice"},
	"first": {"初报", "first"}, "raised": {"升高", "raised"}, "lowered": {"降低", "lowered"},
	"unchanged": {"未变", "unchanged"}, "withdrawn": {"撤回", "withdrawn"}, "reinstated": {"恢复", "reinstated"},
	"away": {"无人值守", "away"}, "reminder": {"提醒", "reminder"}, "overdue": {"逾期未签收", "overdue"}, "acknowledged-late": {"逾期签收", "acknowledged late"},
	"from": {"自", "from"}, "revision-of": {"版本", "revision"}, "imported": {"补录，不计时", "imported, no clock runs"}, "no-clock": {"不计时", "no clock runs"},
	"by": {"时限", "by"}, "in-time": {"按时", "in time"}, "promptly": {"及时", "promptly"}, "delayed": {"本系统延误，收到时未迟", "received in time; delayed here"},
	"strictly-by": {"严格自发现起算的时限", "strictly, from discovery, by"}, "forward-verified": {"经人工确认转报", "forwarded, confirmed by a person"},
	"onBehalf": {"自动转报，未经核实；授权", "forwarded by machine, not verified; authority"}, "by-correction": {"（按更正后的发现时间）", "(by the corrected discovery)"},
	"stored": {"存储于", "stored"}, "own-act": {"本席位自己的处置，无需签收", "own act, nothing to acknowledge"},
	"no-acknowledgement": {"范围内无签收记录", "no acknowledgement in this range"}, "target": {"签收目标", "target"}, "overdue-since": {"逾期记录", "recorded as overdue"},
	"rules-statute": {"法规包", "statute pack"}, "rules-register": {"登记册", "register"},
	"secondary": {"间接来源", "secondary source"}, "unverified": {"未核实", "unverified"}, "interpretation": {"解释", "interpretation"},
}

func both(id string) string {
	w, ok := words1[id]
	if !ok {
		return id
	}
	return w[0] + " " + w[1]
}

// mark marks every figure that was not read in the text itself.
func mark(confidence string) string {
	if confidence == "text" {
		return ""
	}
	return "[" + both(confidence) + "]"
}

var beijing = time.FixedZone("+08:00", 8*60*60)

func timeAt(t any) string {
	const layout = "2006-01-02 15:04:05.000 -07:00"
	switch t := t.(type) {
	case *time.Time:
		if t != nil {
			return t.In(beijing).Format(layout)
		}
	case time.Time:
		return t.In(beijing).Format(layout)
	}
	return "–"
}

var durationForm = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,3})\d*)?S)?)?$`)

// lateBy renders a duration in its two greatest units, rounded down.
func lateBy(iso *string) string {
	m := durationForm.FindStringSubmatch(*iso)
	if m == nil {
		return "迟报 " + *iso + " late by " + *iso
	}
	m[5] = (m[5] + "000")[:3]
	units := [5][2]string{{"天", "d"}, {"小时", "h"}, {"分钟", "m"}, {"秒", "s"}, {"毫秒", "ms"}}
	var texts [2]string
	for i := range units {
		n, _ := strconv.Atoi(m[i+1])
		if n == 0 && i+1 < len(units) {
			continue
		}
		next := 0
		if i < 3 { // seconds need no milliseconds
			next, _ = strconv.Atoi(m[i+2])
		}
		for k := range texts {
			texts[k] = fmt.Sprint(n, units[i][k])
			if next > 0 {
				texts[k] += fmt.Sprint(next, units[i+1][k]) //nolint:gosec // next is 0 for the last unit
			}
		}
		break
	}
	return "迟报 " + texts[0] + " late by " + texts[1]
}

func span(first, last uint64) string {
	if last <= first {
		return fmt.Sprintf("#%d", first)
	}
	return fmt.Sprintf("#%d–#%d", first, last)
}

func removed(r removal) string {
	n := uint64(len(r.Entries))
	text, gone := span(r.First, r.First+n-1), uint64(0)
	for _, h := range r.Entries {
		if h != (evidence.Hash{}) {
			gone++
		}
	}
	if gone != n {
		text += fmt.Sprintf(" (%d)", gone)
	}
	return strings.TrimSpace(text)
}
