package render

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tocsin-project/tocsin/internal/event"
)

func TestObligation_LimitsInWords(t *testing.T) {
	for _, row := range []struct{ report, within, clock, en, zh string }{
		{"final", "P30D", "handled", "report final summary  30 days after handling ends", "提交 处置总结报告  处置结束后 30 日内"},
		{"payment", "PT24H", "ransom-paid", "report payment  24 hours after the ransom is paid", "提交 payment  支付赎金后 24 小时内"},
		{"written", "3 working days", "classified", "report written  3 working days after classification", "提交 written  运营者定级后 3 个工作日内"},
		{"notification", "PT1H", "oral-notice", "report notification  1 hour after the oral notice", "提交 事件通报  口头通知后 1 小时内"},
		{
			"final", "P1M, on a day off until 12:00 of the next working day", "stage/notification",
			"report final summary  1 month (on a day off, until 12:00 of the next working day) after notification",
			"提交 处置总结报告  1 个月（届满日休息的，至下一工作日 12:00）内，自 事件通报 报送起算",
		},
		{"final", "P1D", "latest/intermediate", "report final summary  1 day after the last intermediate report", "提交 处置总结报告  1 日内，自最近一次 中期报告 报送起算"},
		{"final", "PT1H30M", "discovered", "report final summary  1h30m after discovery", "提交 处置总结报告  发现或获知后 1小时30分钟内"},
	} {
		o := event.Obligation{Kind: event.OwesReport, Report: row.report, Within: row.within, Clock: row.clock}
		assert.Equal(t, row.en, (&Printer{Lang: "en"}).Obligation(o), "in English")
		assert.Equal(t, row.zh, (&Printer{Lang: "zh"}).Obligation(o), "in Chinese")
	}
}

func TestObligation_AskedUnderAnArticle(t *testing.T) {
	o := event.Obligation{
		Kind: event.OwesAnswer, Items: []string{"stages.status"}, Desk: "regulator", Officer: "duty", Reason: "state of repair",
		Citation: "Rules, art. 4", Confidence: event.ConfidenceText,
	}
	assert.Contains(t, (&Printer{Lang: "en"}).Obligation(o), "requested by regulator (duty): state of repair  — Rules, art. 4", "both the desk and the article are named")
}
