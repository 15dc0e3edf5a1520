package main

func (o *options) text(id string) string {
	if o.lang == "zh" {
		return messages[id][0]
	}
	return messages[id][1]
}

// messages are Chinese and English, by id.
var messages = map[string][2]string{
	"try-help": {"用法见 tocsin-verify --help", "Try tocsin-verify --help"},

	fails:              {"不成立", "does not hold"},
	unchecked:          {"无法核验", "could not be checked"},
	"record-n":         {"第 %d 条记录", "record %d"},
	"line-n":           {"第 %d 行", "line %d"},
	"more":             {"……另有 %d 处未列出", "… and %d more that are not listed"},
	"unchecked-export": {"%s：有 %d 处无法核验（见上），其余未发现问题", "%s: could not be checked: %d items (see above); no other problem was found"},
	"faults":           {"%s：不成立：发现 %d 处问题", "%s: does not hold: %d problems found"},

	"proved-record":     {"成立：第 %d 条记录在日志 %s 中，内容如下。", "HOLDS: record %d is in the log %s, with the content below."},
	"proved-export":     {"成立：导出目录中的每条记录都在日志 %s 中，区间内没有无故缺失的记录。", "HOLDS: every record of this export is in the log %s, and every missing record was removed by a recorded removal."},
	"proved-checkpoint": {"成立：该检查点由日志 %s 签名。", "HOLDS: the checkpoint was signed by the log %s."},
	"proved-extends":    {"成立：前 %d 条记录原样保留在 %d 条记录的日志 %s 中，未改、未删。", "HOLDS: the first %d of the %d records of the log %s are unchanged: none was altered or removed."},

	"proved-receipt":  {"成立：该回执由日志 %s 认可的接收端签名。", "HOLDS: the receipt was signed by the intake that the log %s has certified."},
	"proved-receipts": {"成立：%d 份回执均由日志 %s 认可的接收端签名。", "HOLDS: all %d receipts were signed by the intake that the log %s has certified."},

	"log":           {"日志", "log"},
	"status":        {"状态", "status"},
	"exercise":      {"演练", "exercise"},
	"is-exercise":   {"是：不是真实事件", "yes: this is no real incident"},
	"operator":      {"运营者", "operator"},
	"incident":      {"事件", "incident"},
	"report":        {"报告", "report"},
	"source":        {"来源", "source"},
	"type":          {"类型", "type"},
	"durability":    {"落盘保证", "durability"},
	"digest":        {"数据摘要", "digest"},
	"compared":      {"已比对", "report"},
	"signed":        {"签名", "signed"},
	"signed-by":     {"%s，密钥 %s（凭证签发者 %s）", "by %s with the key %s, a credential of %s"},
	"signed-at":     {"签名时间", "signed at"},
	"signed-when":   {"%s（签名者自己的时钟）", "%s by the clock of the signer"},
	"acts":          {"值班行为", "acts"},
	"removals":      {"移除", "removals"},
	"removals-of":   {"管理员签名 %d 件，未签名 %d 件", "%d signed by an administrator, %d not signed"},
	"acts-of":       {"部门签名 %d 件，未签名 %d 件", "%d signed by the desks that did them, %d not signed"},
	"identities":    {"凭证签发者", "identities"},
	"checkpoint":    {"检查点", "checkpoint"},
	"covers":        {"覆盖前 %d 条记录，根 %s", "covers the first %d records, root %s"},
	"extends":       {"延续自", "extends"},
	"earlier":       {"%d 条记录，根 %s", "%d records, root %s"},
	"record":        {"记录", "record"},
	"subject":       {"主题", "subject"},
	"time":          {"时间", "time"},
	"entry":         {"条目哈希", "entry"},
	"body":          {"正文", "body"},
	"binary":        {"%d 字节，不是 JSON，以 base64 表示", "%d bytes that are not JSON, in base64"},
	"range":         {"区间", "range"},
	"range-of":      {"第 %d 至 %d 条：含 %d 条，%d 条已依规移除", "records %d to %d: %d are included, %d were removed by order or by age"},
	"besides":       {"附带", "besides"},
	"besides-of":    {"区间外记录 %d 条；核验树条目 %d 个", "%d records outside the range; %d entries of the tree were checked"},
	"rules":         {"规则", "rules"},
	"manifest":      {"清单 SHA-256", "manifest"},
	"made":          {"导出时间", "made"},
	"page":          {"阅读页面", "page"},
	"page-compared": {"index.html 与由记录重新生成的页面一致", "index.html matches the records: it was rendered again and compared"},
	"damaged":       {"传输改动", "repaired"},
	"extra":         {"多余文件", "not listed"},
	"proof":         {"已写证明", "proof written"},

	"limits":           {"这不证明：", "This does not prove:"},
	"limit-true":       {"记录所述属实——只证明日志收录的就是这些内容；", "that the content of a record is true: only that the log recorded it;"},
	"limit-time":       {"时间准确——时间由写入者的时钟给出；", "that its time is right: it comes from the clock of its writer;"},
	"limit-later":      {"检查点之后的任何事情；", "anything about records after the checkpoint;"},
	"limit-one-view":   {"日志给所有人看的是同一内容——请与他人持有的检查点比对（--extends）。", "that the log shows everyone the same: compare it with a checkpoint that another party keeps (--extends)."},
	"limit-manifest":   {"导出者在清单中所写的时间——请将上面的清单 SHA-256 与导出时所示比对；", "the times that the exporter wrote into the manifest: compare its SHA-256 above with the one that the export printed;"},
	"limit-receipt":    {"该记录仍在日志中——请用 tocsin log prove 取得证明；", "that the record is still in the log: get its proof (tocsin log prove);"},
	"limit-report":     {"报告的内容——请以 --report 提供报告原文比对摘要。", "the content of the report: compare the report with the digest (--report)."},
	"limit-identities": {"上述凭证签发者确为贵方所信任——请以 --identities 指定；", "that you trust the issuer of the credentials: name it with --identities;"},

	"help": {helpZH, helpEN},
}

const helpEN = `tocsin-verify checks proofs, receipts and exports of a tocsin log offline. It trusts
the log's public key and nothing else: not the log, not the file, not its sender.

Usage:
  tocsin-verify --key KEY FILE
  tocsin-verify --key KEY FILE --extends OLD
  tocsin-verify --key KEY EXPORT --record N [--proof NEW]

KEY is the log's public key (tocsin log key prints it), in quotes, or the name of a
file that contains it. Get it once from a source that you trust, and keep it. A key
that comes with the file proves nothing.

The content of FILE says what is checked:
  a proof              its record is in the log
                       (c2sp.org/tlog-proof@v1; tocsin log prove N makes one)
  a signed checkpoint  the log signed that it has this many records
  a consistency proof  the log grew from an earlier checkpoint, and no earlier
                       record was changed or removed; needs --extends
  a receipt            what intake received, from which operator and when: JSON,
                       as tocsin report --json prints it, one receipt a line
  an export            a folder that tocsin log export made: every record, every
                       gap, every file and the page index.html

Damage that mail and editors cause (a byte order mark, UTF-16, other line ends, white
space at the ends of lines, additional empty lines, quoted-printable) is repaired and
reported. Files that an export does not list are reported and not read; an unlisted
page makes the result "could not be checked".

Flags, before or after FILE:
  --key KEY       the public key, or a file that contains it
  --extends OLD   a file with an earlier checkpoint of the log (or a proof or an
                  export that contains one): verify that FILE extends it. FILE is a
                  consistency proof, or an export with enough tiles
  --record N      verify and print only this record of an export
  --proof NEW     write the proof of that record to a new file
  --report EVENT  verify that the receipt belongs to the CloudEvent in this file
  --identities O  the public key that issues credentials (tocsin credential key
                  prints it): require the acts of desks to be signed with a
                  credential that it issued. Signatures are verified without it too
  --json          print the result as one JSON object
  --quiet         print nothing when everything holds
  --lang zh|en    language of the output (default: from LANG)

Exit codes:
  0  everything holds
  1  something does not hold: it was changed, forged or removed
  2  it could not be checked: a file is missing or damaged in transport, a page was
     not compared with the records, a newer program made it, or the key or the
     command line is wrong. Do not rely on it

Examples:
  tocsin-verify --key log.pub incident-7.tlog-proof
  tocsin-verify --key 'log.example.com/tocsin+6f1b2c3d+AbC…' export-2026-01
  tocsin-verify --key log.pub export-2026-01 --extends checkpoint-2025-12
  tocsin-verify --key log.pub export-2026-01 --record 4711 --proof 4711.tlog-proof
`

const helpZH = `tocsin-verify 离线核验 tocsin 日志的证明、回执和导出目录。它只信任日志的公钥，
不信任日志本身、文件及其提供者。

用法：
  tocsin-verify --key KEY FILE
  tocsin-verify --key KEY FILE --extends OLD
  tocsin-verify --key KEY EXPORT --record N [--proof NEW]

KEY 是日志的公钥（tocsin log key 输出），或存有公钥的文件名。请从可信来源取得一次并
妥善保存：与文件一同交来的公钥不证明任何事。公钥请加引号。

FILE 按内容识别：
  证明          其中的一条记录在日志中
                （c2sp.org/tlog-proof@v1；由 tocsin log prove N 生成）
  签名检查点    日志曾签名声明共有多少条记录
  一致性证明    日志由较早状态增长而来，原有内容未改、未删；需 --extends
  回执          接收端收到谁的什么报告、何时（JSON，tocsin report --json 输出，
                一份或多份，每行一份）
  导出目录      记录、树块与规则（由 tocsin log export 生成）：逐条核验记录、
                缺失与文件，问题具体到记录和文件

邮件、编辑器对文件的改动（字节顺序标记、UTF-16、换行符、行尾空白、多余空行、
quoted-printable）会被还原并指明；导出目录中清单未列的文件也会指明，但不读取，
其中如有网页，则结果为“无法核验”。

选项（可在 FILE 之前或之后）：
  --key KEY       公钥，或存有公钥的文件
  --extends OLD   较早的检查点文件（或含检查点的证明、导出目录）：
                  核验 FILE 是否由它增长而来。
                  FILE 为一致性证明，或树块足够的导出目录
  --record N      只核验导出目录中该序号的记录，并显示
  --proof NEW     将该记录的证明写入新文件，可单独核验
  --report EVENT  回执所称报告（CloudEvent 文件），比对其摘要
  --identities O  凭证签发者的 nkey（tocsin credential key 输出）：值班行为必须由其
                  所发凭证签名。已有的签名无此项也会核验
  --json          以一个 JSON 对象输出结果
  --quiet         成立时不输出
  --lang zh|en    显示语言（默认依 LANG）

退出码：
  0  全部成立
  1  有不成立之处（被改动、伪造或移除），并指明
  2  无法核验：文件缺失或在传输中损坏，页面未与记录比对，由更新版本的程序生成，
     或公钥、命令行有误。请勿据以采信

示例：
  tocsin-verify --key log.pub incident-7.tlog-proof
  tocsin-verify --key 'log.example.com/tocsin+6f1b2c3d+AbC…' export-2026-01
  tocsin-verify --key log.pub export-2026-01 --extends checkpoint-2025-12
  tocsin-verify --key log.pub export-2026-01 --record 4711 --proof 4711.tlog-proof
`
