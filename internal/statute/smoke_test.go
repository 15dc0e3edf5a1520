package statute
import ("testing";"os")
func TestSmoke(t *testing.T){ s,err:=Load(os.DirFS("../../schemas/statutes")); if err!=nil {t.Fatal(err)}
for _,f:=range s.Check(){t.Error(f)} 
for _,p:=range s.Packs(){t.Log(p.ID,len(p.Criteria),len(p.Duties)); for _,c:=range p.Criteria{t.Log(c.ID,c.When)}}}
