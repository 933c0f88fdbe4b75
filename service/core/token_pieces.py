"""The most frequent pieces that cl100k_base cuts words into; written by a program, not by hand.

tests/core/cl100k/pieces.mjs says which pieces these are, and writes them anew. The pieces are from
tiktoken, Copyright (c) 2022 OpenAI, Shantanu Jain, MIT licence.
"""

# Pieces that stand after a space, at the start of a word.
STARTS = """
aa aan aantal ab aber able about above abs aby ac acc access accord account acest ach acheter
across act action actually ad add added address admin adv af aff after ag again against agent ah
ai aide ainda air al ale algo algumas algunas alguns all alla alle allow along already als also
altro always am ama among amount an anal anche ancora and anda ander andere anderen anders android
anim ann ano another answer ant använd any ao ap apart app appe application apply appro aqui aquí
ar are area arg argent args around arr array art as aside ask asking ass assert assim assistant
async at att attack até au auch auf aus aussi aut author auto automat automáticamente autre aux av
available avait avec avez avoir avons aw await away ax ayuda az azt aún ba back background bad bar
bara bardzo bare bas base based basket be beaucoup became because become been before beg begin beh
bei being bel belie below bem ben bene bent best bet better between bez bg bien big bij bill bin
binnen bir bis bit bitte biz bl black ble bleibt blev bli blir block blue bo boa body bom bon
bonne book bool boolean border both box br break bro bruk btn bu buen build bureau business but
button buy by być był było bạn ca cal call called came camp can cannot cap car caracteres card
care cargar carry carta carte case catch ce cel cela cell cena cent cert certain ces cet cette ch
chang change char character characters chat che check checked chi child children cho chose chỉ ci
cinco cine city cl claim class clear client close co code coisa col color colore colour column com
comb come comes comm command commande comment community como comp company comple complet component
comprar comput con conc condition conexión conf config connection connexion cons consider console
const cont contact content context contin continua continuar continue control copy cor cosa cost
costa costs cou could couleur coun count country counts coup cour cours course cover cr cre create
created cs csak cu cualquier cuando cuanto cui cum cur current custom customs cut cz czas czy các
có cómo côté că của da daar dag dagen daha dal dam dan dank dann dans dar darauf das dass dat data
date davon day days db de deal dec decl def default deg dei dein deja del delete delivery della
delle dem den denne dentro dep depois der dere dernier des description desde design dessa dest det
details deter detergent detta dette deux dev deve develop device deze di dia dias dice dich dict
did didn die diese diesem dieser dif diff differ different differently dig din dinero dinheiro dir
direct dis disc display disponible dispositivo disse dist distrib dit div divides diz dk dla dni
do document doe does doesn doing dois doit don donc done dopo dort dos double dov dove down dr
draining draw drei dry du due dung dur durch during dus där då dès déjà día días ea each ear eas
echo econ ed een eens eerste eff effect efter egy ei ein eine einem einen einer einige einmal
either el ela ele element eles elkaar ella elle eller elles ellos else em email ember employ empty
en enc encore end ende ended eng enough ent enter entrar entrega então enviado enviar equ er era
erg err erre erreur erro error erst ersten es esc ese eso espera ess essa esse essere est esta
estar este esto estoy está están estão et ett etter että etwas eu euch eux ev even event ever
every everyday ex example exc except exec exist existe exp expect expected exper experience expl
express ext extends ey ez fa fac face fact fail failed faire fait false fam family far fare faut
favor fazer fe feel fel fem few fi fica field fil file filename files fin final find finish finns
fino fire first fit five fl flat flatt float foi follow following font food for foram fore foreach
form format formulario fost found four fr fra fram frame fre free frem fri from från fue full fun
func function fund future för første für ga gaat game games gang gdy gdzie ge geben gebruik geen
geht geld gener generar gerade germany gerne get getting gia gibi gibt gilt ging giorni girl give
given già gl gleich gli global go god godt goed going gol good got gover govern government gr
gracias grande gratis gratuit gratuita gratuito gre great green greetings groot group grow groß gu
guess gut guten gy går général gün ha habe haben hablar hacer had hadde hade hai han hand handle
hanno happ happen har hard has hasta hat hatte hav have having hay he head health heb hebben hebt
heeft heel hei height hello help hem her here het hey hi hier high hij him hint his history hm hmm
ho hoe hogy hol hold holds home hon hope horizontal hos host hot house how href http https hu hum
human hun hur hv hva hvad hvor hvordan hàng há här hätte iar ich ici id ide ident identifier
identify iets if igen ihn ihnen ihr ihre ihrem ihren ii ij ik ikke il ile ils im image imp import
important impro in inc includ include including incre ind index indiv individual info information
ingen iniciar init initial inn input ins insan inst instance instant int inte inter interest
interface intern internal into intra inv invest io is ise isn iss isso ist it item items its
itself için iş ja jacket jag jak jav java javax je jeden jeg jer jest jeszcze ji jo job join jos
jour journée jours json just już já jó kadar kam kan kann karakter kart kaufen ke ked keep keer
kein keine keinen kell kept key khi kho không ki kim kind kingdom kj kl kleine kn know known ko
komen kommen kon konnte kontakt kontakte kontrol kor kort kost kosten kostenlos która który kun
kunne kunnen kunt kurz können könnte la laat label lad laden lado lang lange langs language
languages lar large largest largo las lassen last late later law le lead learn least leer left leg
lehet lei leider len length ler les less let letters leur level lever lh li lib life light lik
like limit limited line link list lite litt little live lk lo load loc local location log long
longer look looking lor loro los lost lot love low lub lui luk lung là lässt lòng lại ma maar
machen made mag mah mai main mais major make makes making mam man manera mange many map mar marca
march mare mark market mars mart marzo mas mass match material max maxim maximal maximum may me
mean means med media meer meet meg meget mehr meille mein meine meinem meinen meiner mem members
men menos mens mensagem mensaje mensajes mensen mer mere mes message messages met meta method meu
mi mia mich mig might mij mijn mild mill million min mind mine minha minutes mio mir mis miss mit
mitt mnie moc mod mode model modo modulo moet mogelijk moi molto mom moment momento momentos mon
money month months more most mot mov move może można mp msg mu much muchas mucho muchos muito mult
mun mus muss must muy my mycket má már más máximo mã må még möchte möchten möglich mü mới na naar
nach nad nada nam name nas ne near need needs nei nel nella nelle nem nesta neste net nett network
neu neue never new news next nh nhập ni nic nice nich nicht nichts nie niet nieuwe night nil
ninguna nl no noch node noe noen nog noi nom nombre non none norge normal nos nosotros nosso
nostra nostro not nothing notre nou nouns nous nouvelle nova novamente novo now np nu nuestra
nuestro nuevo null nulla num number numero nun nuova nuovo ny này não när nå når nós número ob obj
object occ och också od oder oe of off offer offic office official often og også ohne oi ok okay
olan olarak old oldu ole oli om omdat on once onde one ones online only ons ont onze ook op open
oper opp opt option options or ora order ordered orders org organ orig origin original os oss osób
other others otra otro ott ou oui our out output outra outro over override own où paar pack
package page pagina pan par para param params parce parcel parcels pare parent parler part parte
partic particular partir pas pasa pasar pass passer password past pat path pay pe pedido pedig
pela pelo pentru people per perc percent perché perform permit pero perso person persona personne
personnes pessoa pessoas petites peut peux ph piano pick pieces pills più pl place plan plano plat
play player please plus po poate poco pod pode podem point points pol polit pomoc pop por porn
porque port pos posible position poss possibile possible possível post poste pot pouco pour
pourquoi pouvez power pr pract pre precio pregunta prend pres present press previous preço price
prima prime primeiro primero prin print pris private prix pro prob proble problem process produ
product products prof program project prom prop property proprio prot protected prov provid
provide provided przez przy pt pu public publish puede pueden puedo puis pur put può página på qu
qua qual qualche quale qualquer quand quando quanto que queda quel quella quelle quello quelque
quelques quem quer query quest questa question questions questo queue qui quick quiero quindi quoi
qué ra range rate rather raz re reach reached read real really reason rec rece received recent
record red redu ref refund refused reg rel reload rem removed render renewed rep replaced report
represent request require required res research reserve responder response resposta respuesta rest
resta reste result results ret retour return review rien right rights ro rog role room root row ru
run rz réponse sa saat sagen said sama same sang sans sau save say says sc sch schon school script
se search season second seconds section see seem seen seg seguir sehr sei sein selbst select self
selv sem semaine semana semanas sen send sender sent senza sept ser sera series server service
services servidor será ses sesión session set seu seven sever several sex sh shall shared she ship
shipping shop short should show si sich side siden sido sie sig sign signed signing sim sin since
sind single sit site siz size sizeof się sk ska skal skulle sl slip slut sm small sn snap so sobre
social sockets software sok sol soll solo som some something son sono sonra sont soon sorry sort
sou source soy sp space spe speak spec special specific spring später src st staat stand start
started stat stata state static status std steht stellen step stil still stop store story str
string strong struct stud study style su sua sub subject success such suis sulla sum sunt suo sup
super support sur sure sus sv sw switch system sz são så sí só să są số ta table tack tag tai
taille tak take takes także tale talk tam tamanho tamaño también também tar tard tarde target tart
task tax te team techn tego tej tell tells tem temp template ten tenga tengo ter terms terug test
text też th than thank thanks that the their them then there these they thing things think this
those though thought three through throw throws thu thành ti tiene tienen til till time timeout
times timp tin tip tips title to today together token told tom tomorrow ton too took top tot total
toujours tr tra track trans tre trebuie tres tri trois trong trop true try très três tu tud tuo
turn tut twee two ty tylko tym typ type têm tú từ uden uint uit uk um uma un una unas unavailable
und unde under understand une ung uni unit united uno unos uns unser unserem unsigned unsupported
until up update url us usar use used user users using uso usted usually utan uten uu uur uw uy va
vad vagy val vale valid valido value values van var vara variable ve ved veel vem vent ventana ver
verbs vers version verwenden very veya vez vi vide video vie viel viele vielen viene view vil vill
villa vis visit viên você voi void vois volt volver von voor vos votre voucher vous vy và vào
válido vår være waar wait wann want war warehouse waren was wash wat watch water way we web
website week weeks weight weil weiter welche well wenn went wer werden were wh what when where
whether which while who why width wie wieder wij wil will willen wilt win window windows wir wird
with withdrawn within without więc wo wol wom women won wool word worden words wordt work working
world would wr writ write writing written wrong wrote wurde www wy würde ya year years yeni yes
yet yo yok you young your yy za zahl zal zaman zdarma ze zh zi zij zijn zonder zou zu zum zur
zurück zwei µ à às á â ä är å æ ç ça çok è é écrit él és était été ê être í î în ó ö ön ø ü über
đi đã được để ş že și α β γ δ ε κ λ μ ν π σ τ φ а ав адрес ак б баз без бл боль буд будет бы быть
в ваш вер вид воз врем время вс все всех вы выб вывод выз вып выполн г д да дан данны данные
данных дв дел для до добав долж дост доступ друг е его если есть ж з за зав заг зад зак заказ зап
запис запрос знач значение значения и иг из измен или им имя ин интер информ исп использ использов
к кажд как карт кл класс кли ключ кноп ко код кол количество ком комп кон конт кор котор который л
ли лю м массив мат мен метод мин мод мож может можно мы н на найд нап нач не нет нов номер нуж о
об объ объект од ок он оп опер ос от ответ отправ оч ошиб п пар парамет пер перв перед перем
перемен по пов под пол получ пользоват пользователя поля пом пор посл послед пот пр прав пред при
про пров провер програм программ прод р работ работы раз размер рас результат с сай сам св сер
сервер симв систем ск сл след слов случ со содерж созд сообщ сост сохран сп спис списка список
ссыл ст стр страниц строк строки т таблиц так тек текст текущ тип то товар только точ тр у удал
уже указ усл усп успеш ф фай файл файла форм функци х ц ч чер чис число чт что чтобы ш э эк
элемент эт это я і א ב ה ל מ ש أ إ ا است ال الت الم ب با به ت ج ح خ د در ر س ش ص ع ف في ق ك ل م من
ن ه و ي پ ک क प म स ह เ ℕ ℝ の を ア コ ス 上 下 下午 不 中 主 使用 修改 关 分 创建 初始化 删除 加
参数 发 名 和 商 商品 图 在 如 如果 字 实 对 开 当 成 或 控 提 数 数据 文 文件 新 方 方法 日 时间
是 是否 更 更新 最 查 查询 注 注意 添加 生 生命周期 生命周期函数 用户 登 的 示 示例 第 类 结 自
自动生成 若 若要 获取 解 设 设置 请求 输 输入 输出 返回 页面 默认 가 가능 가져 값 값을 같 개 객체
검 것 게 결 결과 경 경우 계 관 구 그 기 나 내 다 대 데이터 되 등 때 로 리 리스트 마 만 메 모 문
문자 바 반 반환 받 발 방 배 배열 버 번 변 변경 변수 보 부 비 사 사용 삭제 상 생 생성 서 선택 설
설정 수 수정 시 시작 실행 아 안 않 없 에 여 연 예 오 요 위 위치 이 이름 이미 인 일 입 입력 있 있는
있다 자 작 저장 전 정 정보 제 조 조회 종 주 중 지 처 처리 초 초기 최 추 추가 출력 코드 클 클래스
파 파일 페이지 포 프 필 하 한 할 함 함수 해 해당 호 호출 확인 회 후
"""

# Pieces anywhere else.
INNER = """
ab abel ability able abled ably abs ac ace aces ach ache ached achine acity ack ackage act acter
action actions active actory acy ad ada add adding ade ader ades adi ading adio adius admin ado af
aff ag age aged agement ager ages agn ags ah ai aid ail ailable aim ain ained ainer aining ains
aint air ais aise ait aj ajor ak ake aken akes aking al ale ales alf ality alk all allback ally
als alse alt alth alue am ama amb ame amed ament amera ames amespace amework amic amp ample amples
an ana anc ance ances anch and andle andom ands ane anel ang ange anged anger angu anguage ank
anks ann annel annot ans ant ants any ao ap ape aper aph api app apper apping aps apt apter ar
aram arch ard ards are ared arent arg arge arget argin args ari aring ario ark arm arn arning arr
array ars arse art artment ary as ase ased ases ash ask ason ass assert assword ast aster asure at
ata atab atabase atch ate ated ateg ategory ately ater aterial ates atform ath ather atic ating
ation ational ations atis ative ator ators atri atrix ats att atter attern attr atur ature atures
atus au ault ause aut auth author auto av ava ave avel avig aving avor aw ax ay ayer ayout ays az
back ball bar base be bed ber bers bject bl ble bo board body book bool box br bs bsite btn bug
button by byte ca cale cast cause cc ccess ce ced cel cent center cept ception cer ces cess ch
change char che check ched chem chema child chn cho chool ck cket cl class click client clud clude
co code col color com come comm con cond config const cont container content context control cope
core count cover cre create creen cri cribe cript cription ct ction ctx cul cur curity current da
data date dated day db dd de def default define der dev df dir dition div do down dr du duct ead
ear earch eb ec ecess echo ect ected ector ecute ed edit ee ef efined eg eger egin eh ek el eld
elf ell elp elper els else elt ely em email ember eme ement ements emp emplate empty en ename enc
ence ences ency end ended ender endif ending ends ene ener eneric eng ength enn ens ense ension
ensive ensor ent enter ential ention entity ents enu env ep er era eral erc ere erg erial ern
ernal ero err error ers ersion erson ert erties erty erv erved erver ervice ervices ery es esc
escription ese ess essage essages ession est et eta etail etails etch eter eters eth ether ething
ethod ets eturn etwork ety event ever ew ework ex export ext ey fa face false fe fect fer ference
ff ffect ffer field fig file find first fl float fo font for fore form format formation fort fr
framework from fs ft fter ftware ful fully func function ge ged ger get gether gh ght ging gle go
gr gram gress ground he head header heck heet height her hip host ht html http https ia iable ial
ialog ian ias ib ibility ible ic ica ical ically ice icense ices ich ici ick icle ico icon icro
icrosoft ics ict iction ictionary icture icult icy id idd idden iddle ide ident ideo ider ides
idget ids idth idual ie ied ield ien ience ient ier ies iet iew if ife iff ific ification ified
ifier ift ify ig igh ight ights ign igned ignment ii ij ik ike il ilar ild ile iled ilename iles
ili ilit ility ill ills ilt ilter ily im image images imal imary imate ime iment imer imes img
imit import imum in ina inal inary inate ination inc ince include ind index inding indow indows
ine ined ines iness info ing ingle ings init ink ino input ins int inter io iod ion ional ions ior
ios ious ip ipe iple ipp ips ique ir irc ird ire irect irection ired ires irl irm iron irst irt
irtual is isc ise ish ished ising ision isk ism ison isplay iss ist istance ister istory istr ists
it ital itch ite ited item items iter ites ith ither ithub itial ities ition itional itive itle
itor its itt itted itter ittle itude ity ium iv ival ivate ive ived ively iven iver ivers iversity
ives iving ivity ix ixed iz ization ize ized izer ión je ject js json ke ken key ks label land
lass lation ld le lean lear lease lect lected lection led leep left leg lem lement len ler les
less let lete lev level lex ley li lib lic lication lick lient lin line ling link lish list ll ln
lo load loat lob lobal loc local location lock log login loor los lose loy ly ma mail main man
mand map mark mary max mb md me med ment ments mer meric message min miss mission mit ml mm mod
model mon most move mp ms msg mt my na name namespace nav nc nd nder ne nect nection ner ness new
next ney ng ning no node not now nt null num ny oad ob obile obj object oc ocal ocation oci ocial
ock ocument ocus od ode odel odes oding odule ody of off offset og ogle ogn ograph oh ohn oid oin
oint ok oken ol old older ole olean oll ollection ollections ollow olog ology olor ols olum olumn
olution olve om omain omb ome omic on ond one ones oney ong only ons ont ony oo ood oogle ook ool
oot op ope open oper ople ops opt option options opy opyright or orage ord order ording ords ore
ored org ories ork orld orm ormal orn ors ort orth ory os ose osition oss ost ot otal ote other
oto ots ott ottom ou ouble ouch oud ough ought ould oun ounc ound ounds ount our ource ources ourn
ours ous ouse out oute outer outh output ov ove over ow ower own oy pace package page pan pany par
param params pare parent password patch path pc pe pec pecial pect pen pend per pg ph pha php pi
pl place plate play player ple plement plied plit ploy ply point pon pond ponent ponents pons
ponse port ports pos pose posed posit position pository post pp pr pre press pression pring print
printf private pro product prop property ps pt ption ptions ptr pty public put px py ql qu qual
quals que query quest quire quired quote ra raft ral ram rame raph rary ration raw rawing rc re
react read ready reak ream reat reate reated rec rect red ree reet ref reg region rel rem ren req
request res resent resh response ress rest result ret return rg ri rib ric rid ride ries right
rint rior rist rit rite riter rl ro roid rol roll roller rom ron room root rop rops ros ross rou
rough round roup row rows rowser roy rr rray rror rt ru ry rypt sc script se search section select
self ser server set sg sh show side signed size sl sm so soft sole son source sp span sql src ss
st stance stand start state static status std ster stit str stream string struct struction
structor style styles sub sum summary sv sw swer ta table td te tem temp ten ter tes test text th
the then ther thers thing this til time ting tings title tml tn to ton top tp tr tra tract trans
translation trib tribute tributes tring true try ts ttp turn tx ty typ type ual ually uary uation
ub ube ublic ublish uc uccess uch uck uct uction ud ude udio ue ued uel ues uest uf uff uffer ug
ugg uggest ught ugin ui uid uild uilder uint uit uk ul ular ulation ule ules ull ult uly um umb
umber ume ument uments umer ump un unc unch unction und une ung unic unit unity unk unsigned unt
up update uper upport ur uration urch ure ured ures uring url urn uro urre urrent urs ursor urther
ury us use used user ush usiness using uss ust ustom ustr ut ute uted utes uth uthor util ution
utions uto utton uture ux val valid value values var ve vector ved vel velop ven vent ver vers
vert very ves vice vid vider view vious viron vironment vis vo void ward wards ware way ways we
web ween wh where while width witter wn wo word work ww www xt yc year yl yle yles ym ymb ymbol yn
ync yp ype ypes ys yst ystem ze µ á ã ão ä å ç é í ó ón ö ü ı ά έ ή ί α αι β γ δ ε η θ ι κ λ μ ν ο
ου π ρ ς σ τ υ φ χ ω ό а аб аблиц ав аг ад аем ает ается аж ажд аз азв азвание ай айд ак акс ал
ала али ализ аль ам ами ан анд ани ание аниц анию ания анны ап ар арам арамет арт ас асс ассив аст
ат ата атег атегор атель атор ать аться аци ации ация ач аш ая б в ва вед ведите вер вет вод г го
д да дал де дел дин др дрес е еб ев ег егист его ед едак ее еж ез езульт езультат ей ейств ек екс
ект ел еле елеф ели ель еля ем ен ена ени ение ении ений ения ено ент ента ены ень еп ер ера ерж
ес есс ест еств ество ести есь ет етод ется ех еч еш ещ ж же з и ив иг ид ие из ии ий ик ика ил
иль им ималь имв имер ин ина ип ир иров ис иск ист истем ит ите итель ится ить иф их ич ичес
ичество ия й к ка каз ке ки ключ ко ков кры ку л ла лав лад лат лем лемент лен ление ления ли лиц
лич ло лож ль льт лю люч ля ляем м ма мен мент мер ми мож мот мотр мя н на нач ная не ни ник ника
но нов ного ное ной ном ноп ности ность ную ны ные ный ных ня о об обав ображ обходим общ обы
обыти ов овар ог ого ограм од ода одерж ое ож оз озв озвращ озвращает озд ой ок ока оказ окумент
ол олж оличество олн олов олуч оль ольз ользов ользоват олько оля ом омер ому он она онт оп ор
ордин орм ос ост ости ость ось от отор оч ощ оя п пис писание пп прав р ра работ рав раз рам ран
раниц рат ращ рг ред редел рем ри ров ровер рос ру руг руз рук рупп ры с ск ски сл сли сп ст став
стан станов ств ства сти стр строй струк структор сть сы сыл ся т та те тер ти тив тиров то том
тор ту ты ть у уб уг уд ует уж уй ук ульт ум умент ун унк ункци уп ур урс ус уст ут уть уч ущ
уществ ую ующ ф форм х ход ходим хран ц ца ци ции ция ч чет чит ш ше ши шиб шибка щ ъ ы ыв ываем
ые ый ых ь ью э ю ют ющ я яд яем яз ят ять ё і א ב ד ה ו ח י ל מ נ ע ר ש ת أ إ ا اء اب ات اد ار اس
اف ال ام ان ای ب بر ة ت ث ج ح خ د ده دي ذ ر رو ز س ست ش ص ض ط ظ ع غ ف ق ك ل لا لى م ن ه و ود ور ول
ى ي ية ير يل پ ک گ ی ید یر ین क त न प म र ल स ह ন র ก กร การ ข ค ง จ ช ณ ด ต ถ ท น บ ป ผ พ ม ย ร ล
ว ส ห อ ะ า าร ำ เ แ ใ ไ ไม あ あり ありが ありがとう ありがとうござ い いう います う え お か
から が き く ください け こ この これ こん こんに こんにちは ご ござ さ さい され さん ざ し しか
しかし した して します じ す する せ そ そして その それ た ただ だ ださい ち ちは っ って つ て
で です では でも と とう ど な に の は ば ま ました ます また み め も や よ ら り る れ ろ わ
を ん ア ィ イ イト イン ウ ェ エ オ カ キ ク グ コ コメント サ シ ジ ス スト ズ セ タ ダ チ ッ
ック ット テ デ ト ド ナ ニ バ パ ビ ピ ピー フ ブ プ ペ ポ マ ム メ メント ャ ュ ョ ラ ラン リ ル
レ ロ ログ ン ング ント ー ージ ース ート ード ール 一 一个 一页 万 万元 三 上 上传 下 下载 不
不存在 不能 不能为空 与 专 业 东 两 个 中 中国 串 为 为空 主 么 义 之 也 书 了 事 事件 二 于 五 些
交 产 产品 享 京 人 亿 亿元 今 今年 介 从 他 付 代 代码 以 以上 以下 们 件 价 价格 任 任务 份 企
优 会 传 但 位 位置 体 何 余 作 作者 你 使 使用 例 例如 供 価 保 保存 信 信息 修 修改 倍 值 停 像
元 先 入 全 全部 公 公司 共 关 关闭 其 其中 其他 具 内 内容 円 册 再 写 出 击 函数 分 分享 分类
分钟 列 列表 则 创建 初 初始化 删除 删除成功 利 别 到 制 前 力 功 功能 加 加载 务 动 动生成 動 包
化 北 北京 区 十 午 华 单 单位 南 即 历 原 去 县 参 参数 及 友 反 发 发布 发送 取 取消 变 口 只 可
可以 可能 台 右 号 司 合 同 同时 名 名称 后 向 否 含 听 启 告 员 周 周期 命 命周期 和 品 哈 商
商品 問 器 四 回 因 国 图 图片 土 在 在线 地 地址 场 址 型 城 基 報 場 填 增 声 声明 处 处理 备
备注 复 外 多 大 大小 天 失 失败 头 女 好 如 如果 始 姓名 子 字 字段 字符 字符串 存 存在 学 安 宋
宋体 完 完成 定 定义 实 审 审核 客 家 容 密 密码 对 对象 导 将 小 小时 少 尔 就 局 展 属性 山 岁
州 工 左 已 市 布 常 平 年 并 广 序 库 应 店 度 建 开 开始 异 异常 式 引 张 当 当前 录 形 影 径 待
後 得 微 微软雅黑 心 必 志 态 思 性 总 息 您 情 意 感 成 成功 我 我们 我的 或 户 所 所有 手 手机
手机号 打 执行 找 技 投 报 报道 拉 持 指 按 按钮 换 据 排 排序 接 推 描述 提 提交 提示 搜索 播
操作 支 支付 收 改 放 政 效 数 数字 数据 数据库 数组 数量 整 文 文件 文字 文章 料 断 新 新增 方
方式 方法 族 无 日 日期 时 时间 明 易 星 是 是否 显示 時 時間 景 更 更新 最 月 有 有效 服 服务
服务器 期 木 未 本 机 权 权限 束 条 条件 来 来源 板 构 析 果 查 查询 标 标题 样 核 格 格式 案 检
模 次 款 止 正 正在 正确 此 步 歳 段 每 比 民 気 水 求 江 汽 没 没有 治 法 注 注册 注意 活 流 测试
海 消 消息 添加 清 游 源 火 点 点击 無 無しさん 無料 然 片 版 版本 物 特 状态 率 环 现 球 理 生
生成 用 用户 用户名 由 电 电话 男 画 界 番 登 登录 的 监 监听 监听页面 目 直 相 相关 省 看 県 真
知 码 确 确定 确认 示 社 票 私 种 科 秒 称 移 移到 程 程序 稍 税 稿 空 立 站 章 端 笑 符 第 等 签
简 算 管 管理 管理员 箱 米 类 类型 系 系统 素 索 约 级 线 组 经 结 结束 结果 给 络 统 编 编号 编辑
网 网络 置 美 老 考 者 而 联 联系 能 自 自治 至 色 节 节点 英 获取 藏 行 表 表示 装 西 要 見 见 规
视 视频 角 解 言 計 記 記事 話 読 计 订单 认 议 记 记录 论 设 设置 设计 设计器 证 评 评论 试 话 询
该 详 详情 语 误 说 说明 请 请求 请输入 请选择 读 调 象 责 败 账 货 购 费 资 资源 起 超 路 路径 身
车 转 软 软雅黑 载 辑 输 输入 输出 达 过 运 近 返回 还 这 进 进行 连 连接 述 退 退出 送 送料 选
选择 通 通过 速 造 連 道 邮 邮箱 部 都 配 配置 释 里 重 重新 量 金 金额 钟 钮 链 链接 销 错 错误
键 长 长度 開 間 関 门 闭 问 问题 间 队 阳 陆 限 院 除 隐藏 雅 雅黑 集 雷 需 需要 非 面 音 页 页面
项 项目 预 频 题 额 首 首页 验 验证 验证码 高 黑 默认 가 간 값 개 거 게 결 경 고 공 과 구 그 글 기
나 내 는 능 니 니다 다 당 대 도 동 되 된 드 든 들 디 라 래 래스 러 력 로 로그 록 료 류 른 를 름 리
만 메 면 명 목 문 미 버 번 번호 보 복 부 분 비 사 산 상 색 생 서 성 세 세요 션 소 수 스 스트 습
습니다 시 식 신 아 야 어 에 에서 여 열 오 와 요 용 우 운 원 위 으 으로 으면 은 을 음 의 이 인 일
임 입 입니다 자 작 장 재 적 전 정 제 져 조 주 주세요 지 진 째 체 출 치 크 태 터 턴 트 튼 하 하기
하는 하세요 하여 하지 한 한다 할 함 합니다 해 해서 호 화 환 회
"""
