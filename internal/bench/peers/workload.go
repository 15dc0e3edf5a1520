package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tocsin-project/tocsin/internal/api"
)

// The mix of every hundred reports: one is invalid, five are especially grave, and the
// rest are general, which no duty requires to be passed on.
const (
	hundred         = 100
	invalidOf       = 1
	graveOf         = 5
	invalidAt       = 57 // of every hundred
	graveEvery      = 20
	graveAt         = 9 // of every twenty
	operators       = 20
	gravelyAffected = 12_000_000
)

// desks are the authorities that receive an especially grave report. The packs name three
// for an operator without critical infrastructure, and four with it.
var desks = []string{"js-cyberspace", "national-cyberspace", "js-public-security"}

// load is a sequence of reports. The prefix distinguishes the measurements on one server.
type load struct {
	prefix string
	events int
	at     time.Time // when the incidents were discovered
}

func (l load) invalid(i int) bool { return i%hundred == invalidAt }
func (l load) grave(i int) bool   { return i%graveEvery == graveAt }

// invalids and graves count those of n reports, where n is a multiple of a hundred.
func invalids(n int) int { return n / hundred * invalidOf }
func graves(n int) int   { return n / hundred * graveOf }

func operator(i int) string { return fmt.Sprintf("op-%02d", i%operators) }

func (l load) incident(i int) string { return l.prefix + "-" + strconv.Itoa(i) }

// index returns the report that created an incident.
func (l load) index(incident string) (int, bool) {
	n, ours := strings.CutPrefix(incident, l.prefix+"-")
	i, err := strconv.Atoi(n)
	return i, ours && err == nil && i >= 0 && i < l.events
}

// message is one report as a structured CloudEvent of about 1 KB.
func (l load) message(i int) *nats.Msg {
	title, affected := "title", i%99_000
	if l.invalid(i) {
		title = "titel"
	}
	if l.grave(i) {
		affected = gravelyAffected
	}
	id, who, at := l.incident(i), operator(i), l.at.Format(time.RFC3339)
	return &nats.Msg{
		Subject: api.ReportSubject(who),
		Header:  nats.Header{"Content-Type": {"application/cloudevents+json"}},
		Data: fmt.Appendf(nil, `{"specversion":"1.0","type":"tocsin.report.initial.v1","source":"urn:tocsin:operator:%s","id":"%s","subject":"%s","time":"%s","datacontenttype":"application/json",`+
			`"data":{"facilities":["main"],"discoveredAt":"%s","kind":"facility-fault","%s":"供水调度系统中断",`+
			`"containsNoStateSecrets":true,"place":{"region":"320100","address":"南京市玄武区"},"contact":{"post":"值班室","phone":"025-00000000"},`+
			`"facts":{"peopleAffected":%d},`+
			`"impact":"部分片区供水压力下降，客服热线来电增加，暂无人员伤亡。","measures":"已切换至备用系统，隔离受影响主机，保全日志。",`+
			`"trend":"影响范围稳定，预计两小时内恢复。","cause":"初步判断为存储控制器故障，正在核实。","leads":"暂无外部攻击迹象。",`+
			`"plan":"恢复后进行全面检查并提交总结。","scene":"现场已封存，设备保持通电。"}}`,
			who, id, id, at, at, title, affected),
	}
}

// registerYAML is tocsin's register: operators without critical infrastructure, and the
// desks that the packs then name.
func registerYAML() []byte {
	var b strings.Builder
	b.WriteString("acknowledge: PT30M\nfallback: national-cyberspace\noperators:\n")
	for i := range operators {
		fmt.Fprintf(&b, `  - {id: %s, name: {zh: 运营者, en: Operator}, level: prefecture, facilities: [{id: main, name: {zh: 系统, en: System}, sector: water, region: "320100"}]}`+"\n", operator(i))
	}
	b.WriteString(`desks:
  - {id: national-cyberspace, name: {zh: 国家网信部门, en: National cyberspace department}, role: cyberspace, level: national, languages: [zh], designated: true}
  - {id: js-cyberspace, name: {zh: 江苏网信部门, en: Jiangsu cyberspace department}, role: cyberspace, level: province, region: "320000", languages: [zh], designated: true, next: national-cyberspace, forward: automatic, authority: "Benchmark"}
  - {id: js-public-security, name: {zh: 江苏公安机关, en: Jiangsu public security}, role: public-security, level: province, region: "320000", languages: [zh], designated: true, next: national-cyberspace}
`)
	return []byte(b.String())
}
