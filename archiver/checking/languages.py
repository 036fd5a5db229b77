"""The words of `missing`, one row a language: what can be missing, and how that is told.

Rows are written with accents for the reader; texts are compared folded (`titles.fold`). `*`
stands for the rest of a word. [judgement: common wording of the languages; no page set was
copied]
"""

from __future__ import annotations

# An apostrophe is folded into a space: "doesn't" is "doesn t".
ENGLISH_DENIALS = (
    "not found|not be found|cannot be found|t be found|not exist*|t exist*|t seem to exist|"
    "no longer exist*|no longer available|no longer here|no longer online|no longer active|"
    "not available|not be located|cannot be located|t be located|t find|not find|"
    "cannot find|cannot be displayed|"
    "unable to find|not locate|unable to locate|has been removed|was removed|been deleted|"
    "was deleted|has been unpublished|been taken down|has expired|may have been moved|"
    "might have been moved|may have moved|has been moved|have been removed|been withdrawn|"
    "does not match|is missing|be missing|gone missing|t here|is gone|are looking for|"
    "were looking for|re looking for|was not here|is lost|never existed|may have been deleted|"
    "been archived|been retired|we lost|ve lost|not in our|failed to find|not seem to exist|"
    "not appear to exist"
)
# What is said of these in a heading of a page is said of the page; in a text it is news.
HEADING_ROW = (
    "screen|place|news item|object|publication|report|account|profile|user|channel|group|blog|"
    "video|product|job|event|comment|image|photo|location|route|record|topic|thread|listing|item",
    ENGLISH_DENIALS,
)
ROWS: tuple[tuple[str, str], ...] = (
    (
        "page|pages|webpage|url|article|document|content|file|resource|address|link|story|post|"
        "entry|site you|what you|web page|something you",
        ENGLISH_DENIALS,
    ),
    ("", "nothing was found|nothing found at|nothing here|no such page|no such file|no page here"),
    # German
    (
        "seite|seiten|webseite|artikel|beitrag|inhalt|inhalte|dokument|datei|url|adresse|link|"
        "internetseite|angebot|text|objekt|ressource|unterseite",
        "nicht gefunden|nicht vorhanden|nicht verfügbar|nicht finden|existiert nicht|"
        "existiert leider nicht|existiert nicht mehr|nicht existier*|nicht mehr verfügbar|"
        "nicht mehr vorhanden|gibt es nicht|gibt es leider nicht|nicht mehr online|"
        "nicht mehr erreichbar|nicht auffindbar|gelöscht|wurde entfernt|nicht ermittelt|"
        "leider nicht|verschoben oder|wurde verschoben|nicht mehr aktuell|gibts nicht",
    ),
    # French
    (
        "page|pages|article|contenu|document|fichier|adresse|url|lien|ressource|dossier|rubrique|"
        "element",
        "introuvable|introuvables|n existe pas|n existe plus|pas été trouvée|pas été trouvé|"
        "pas trouvée|pas trouvé|non trouvée|non trouvé|plus disponible|pas disponible|"
        "n est plus|impossible de trouver|plus en ligne|n a pu être trouv*|été supprimé*|"
        "été déplacé*|inexistante|inexistant|pas pu être trouv*|inaccessible|plus accessible|"
        "que vous cherchez|que vous recherchez|n avons pas trouvé|retirée|a disparu|erronée",
    ),
    # Spanish, Catalan, Galician, Asturian
    (
        "página|pagina|artículo|contenido|documento|archivo|dirección|url|enlace|recurso|noticia|"
        "sitio|contingut|document|adreça|páxina|pàgina|enllaç|contido|entrada",
        "no encontrad*|no encontrado|no existe|ya no existe|no se ha encontrado|no se encontró|"
        "no se encuentra|no fue encontrad*|no ha sido encontrad*|no está disponible|"
        "ya no está disponible|no se pudo encontrar|no se puede encontrar|no hemos encontrado|"
        "no pudimos encontrar|no podemos encontrar|no hemos podido encontrar|no disponible|"
        "eliminad*|que busca*|que estás buscando|que está buscando|no trobad*|no existeix|"
        "no s ha pogut trobar|no s ha trobat|no es troba|no atopad*|non se atopou|non existe|"
        "no se ha podido encontrar|inexistente|ha sido movid*|no hay nada|no encontramos",
    ),
    # Portuguese
    (
        "página|pagina|artigo|conteúdo|documento|arquivo|ficheiro|endereço|url|link|recurso|"
        "notícia|matéria",
        "não encontrad*|não existe|não foi encontrad*|não foi possível encontrar|"
        "não pode ser encontrad*|não pôde ser encontrad*|não está disponível|"
        "não está mais disponível|não disponível|não encontramos|não conseguimos encontrar|"
        "já não existe|não existe mais|removid*|que procura|que você procura|inexistente|"
        "que você está procurando|indisponível|não localizad*|foi movid*|já não está disponível",
    ),
    # Italian
    (
        "pagina|articolo|contenuto|documento|file|indirizzo|url|link|risorsa|notizia|sito",
        "non trovat*|non esiste|non esiste più|non è stat* trovat*|non è disponibile|"
        "non è più disponibile|non disponibile|non è possibile trovare|non riusciamo a trovare|"
        "impossibile trovare|che stai cercando|che cerchi|inesistente|non è raggiungibile|"
        "è stat* rimoss*|è stat* spostat*|non abbiamo trovato|non è presente|cercata non",
    ),
    # Romanian
    (
        "pagina|pagină|articolul|conținutul|documentul|fișierul|adresa|link*",
        "nu a fost găsit*|nu există|nu mai există|negăsit*|inexistent*|nu este disponibil*|"
        "nu poate fi găsit*|nu a putut fi găsit*|nu am găsit|pe care o căutați|pe care o cauți|"
        "nu am putut găsi|nu se găsește|nu e de găsit",
    ),
    # Dutch, Afrikaans, Frisian
    (
        "pagina|artikel|inhoud|document|bestand|adres|url|link|webpagina|bladsy|side|bericht",
        "niet gevonden|niet vinden|bestaat niet|bestaat niet meer|bestaat helaas niet|"
        "niet beschikbaar|niet meer beschikbaar|niet langer beschikbaar|kon niet worden gevonden|"
        "niet aanwezig|verwijderd|die je zoekt|die u zoekt|niet te vinden|nie gevind*|"
        "bestaan nie|net fûn|verplaatst|onvindbaar|niet langer",
    ),
    # Swedish, Norwegian, Danish, Icelandic, Faroese
    (
        "sidan|sida|siden|side|sidene|artikeln|artikkelen|artiklen|innehållet|innholdet|"
        "indholdet|dokumentet|filen|adressen|länken|lenken|linket|nettsiden|síðan|síða|síðuna|"
        "websiden|sidu|grein|objektet|innlegget",
        "hittades inte|kunde inte hittas|finns inte|finns inte längre|hittar inte|kan inte hittas|"
        "inte hitta|inte hittas|finns tyvärr inte|saknas|ikke funnet|finnes ikke|eksisterer ikke|"
        "fant ikke|finner ikke|ikke finne|ikke lenger|kunne ikke finnes|ble ikke funnet|"
        "blev ikke fundet|findes ikke|ikke fundet|ikke finde|kunne ikke findes|ikke længere|"
        "eksisterer desværre ikke|kan ikke findes|ikke tilgjengelig|ikke tilgængelig|slettet|"
        "fannst ekki|er ekki til|ekki til|finnst ekki|kunne ikke blive fundet|borttagen|"
        "har tagits bort|existerar inte|har flyttats|du leter etter|du leder efter|du söker",
    ),
    # Finnish, Estonian
    (
        "sivu|sivua|sivuja|sivun|artikkelia|sisältöä|tiedostoa|osoitetta|lehte|leht|lehekülge|"
        "lehekülg|lehekülje|sisu|artiklit|dokumenti|etsimääsi",
        "ei löydy|ei löytynyt|ei löydetty|ei ole olemassa|ei löytyt|ei voitu löytää|ei löydä|"
        "ei enää ole|ei ole saatavilla|poistettu|ei leitud|ei leidnud|ei eksisteeri|"
        "ei leia|pole olemas|ei ole|puudub|ei õnnestunud leida|eemaldatud",
    ),
    # Polish
    (
        "stron*|artykuł*|treś*|dokument*|plik*|adres*|zasób|zasobu|link*|podstron*|witryn*",
        "nie znaleziono|nie została znaleziona|nie istnieje|nie znaleziona|nie odnaleziono|"
        "nie została odnaleziona|nie można znaleźć|nie można odnaleźć|nie jest dostępn*|"
        "już nie istnieje|której szukasz|nie zostały znalezione|nie może zostać znaleziona|"
        "nie znaleźliśmy|niedostępn*|usunięt*|nie możemy znaleźć|nie udało się znaleźć|"
        "nie mogliśmy znaleźć|nie ma takiej|przeniesion*|nie został znaleziony",
    ),
    # Czech, Slovak
    (
        "stránk*|strank*|článek|článok|obsah|dokument|soubor|súbor|adresa|odkaz|webstránk*",
        "nenalezen*|nebyla nalezena|nebyla bohužel nalezena|neexistuje|nelze nalézt|"
        "nelze najít|nebyl nalezen|nenašli|nenájden*|nebola nájdená|sa nenašla|sa nenašiel|"
        "nemožno nájsť|nepodařilo najít|nepodarilo nájsť|není k dispozici|nie je dostupn*|"
        "nie je k dispozícii|kterou hledáte|ktorú hľadáte|nebylo možné najít|nemohli nájsť|"
        "odstraněn*|odstránen*|nenachádza|již neexistuje|už neexistuje|nenájdeme|nenalezli",
    ),
    # Slovenian, Croatian, Bosnian, Serbian (Latin)
    (
        "stran|strani|stranica|stranicu|stranice|članak|članka|sadržaj|dokument|vsebina|vsebine|"
        "datoteka|adresa|strana|stranu|članek|poveznica|naslov",
        "ni najdena|ne obstaja|ni mogoče najti|ni bilo mogoče najti|nije pronađen*|ne postoji|"
        "nije moguće pronaći|nije nađen*|ne može biti pronađena|nismo pronašli|nismo našli|"
        "ni na voljo|nije dostupn*|više ne postoji|koju tražite|ne najdemo|ni bila najdena|"
        "ne može se pronaći|ne možemo pronaći|nije pronađeno|ki jo iščete|uklonjen*",
    ),
    # Serbian (Cyrillic), Macedonian, Bulgarian
    (
        "страница*|страницата|чланак|садржај|документ*|статия*|съдържание*|адрес*|страна|"
        "материал*|линк*",
        "није пронађен*|не постоји|не е намерен*|не е пронајден*|не беше намерен*|не съществува|"
        "не е открит*|не можахме да намерим|не може да бъде намерен*|не може да се најде|"
        "не е достъпн*|вече не съществува|не постои|није нађен*|коју тражите|която търсите|"
        "што ја барате|не може да бъде открит*|не е најден*|липсва",
    ),
    # Russian, Ukrainian, Belarusian
    (
        "страниц*|стать*|материал*|документ*|файл*|адрес*|раздел*|запис*|публикац*|сторінк*|"
        "статт*|матеріал*|старонк*|бачын*|новост*|ссылк*|посилан*|объект*|ресурс*",
        "не найден*|не существует|больше не существует|не может быть найден*|не удалось найти|"
        "не нашли|не нашлось|не нашлась|отсутствует|удален*|недоступн*|которую вы ищете|"
        "не знайдено|не знайден*|не існує|більше не існує|не вдалося знайти|видален*|"
        "відсутн*|яку ви шукаєте|не знойдзен*|не існуе|немагчыма|не обнаружен*|нет на сайте|"
        "такой страницы нет|не знайшли|которую вы запрашиваете|перемещен*|снят* с публикации",
    ),
    ("", "такой страницы нет|такої сторінки немає|такой страницы не|этой страницы нет"),
    # Latvian, Lithuanian
    (
        "lapa|lapu|raksts|saturs|dokuments|puslapis|puslapio|puslapi*|straipsnis|turinys|"
        "dokumentas|adresas|adrese|tinklalapis",
        "nav atrast*|neeksistē|nav pieejam*|nevar atrast|netika atrast*|neatradām|nerast*|"
        "neegzistuoja|nepavyko rasti|nerandamas|nebuvo rastas|nėra|nebeegzistuoja|"
        "kurio ieškote|kuru meklējat|ko meklējat|negalime rasti|vairs nav|nepasiekiam*",
    ),
    # Hungarian
    (
        "oldal|oldalt|oldala|cikk|tartalom|dokumentum|fájl|cím|lap|weboldal|aloldal",
        "nem található|nem létezik|nem elérhető|nincs ilyen|nem találtuk|már nem létezik|"
        "nem találjuk|nem érhető el|nem talált|megszűnt|törölt*|nem találja|eltávolít*|"
        "keresett oldal|nincs meg|nem lelhető",
    ),
    # Greek
    (
        "σελίδα|σελίδας|άρθρο|περιεχόμενο|έγγραφο|αρχείο|διεύθυνση|ιστοσελίδα|σύνδεσμος",
        "δεν βρέθηκε|δε βρέθηκε|δεν υπάρχει|δεν υφίσταται|δεν είναι διαθέσιμ*|που ζητήσατε|"
        "που αναζητάτε|που ψάχνετε|δεν μπορεί να βρεθεί|δεν μπορούμε να βρούμε|δεν βρήκαμε|"
        "δεν είναι πλέον|αδυναμία εύρεσης|που ζητήθηκε|που ψάχνεις",
    ),
    # Turkish, Azerbaijani, Uzbek, Kazakh, Kyrgyz, Turkmen, Tatar
    (
        "sayfa|sayfayı|sayfaya|içerik|makale|dosya|adres|haber|belge|bağlantı|səhifə|səhifəni|"
        "sahifa|sahifani|бет|парақша|барак|баракча|sahypa|бит|sayt",
        "bulunamadı|bulunamıyor|bulunmuyor|mevcut değil|bulamadık|artık mevcut değil|"
        "kaldırılmış|silinmiş|yok|aradığınız|tapılmadı|mövcud deyil|tapa bilmədik|topilmadi|"
        "mavjud emas|табылмады|табылган жок|жоқ|жок|tapylmady|табылмаған|табылмадь|yayından|"
        "bulunmamaktadır|ulaşılamıyor|axtardığınız",
    ),
    # Arabic
    (
        "صفحة|الصفحة|المقال|المحتوى|الملف|العنوان|الرابط|المقالة|صفحه|المستند|الموضوع",
        "غير موجود*|لم يتم العثور|تعذر العثور|لا توجد|غير متاح*|غير متوفر*|لم نتمكن من العثور|"
        "لم نعثر|التي تبحث عنها|لا يوجد|لم يعد موجود*|لم تعد متاحة|لم تعد موجودة|تم حذف*|مفقود*|"
        "ليست موجودة|تعذر علينا العثور|المطلوبة|لا يمكن العثور|تحاول الوصول",
    ),
    # Persian, Urdu, Pashto, Kurdish
    (
        "صفحه|صفحهٔ|صفحه‌ای|صفحه ای|مطلب|محتوا|محتوای|فایل|آدرس|صفحہ|مضمون|پاڼه|پاڼې|پەڕە|پەڕەکە|"
        "پەڕەی|rûpel|لینک|نشانی|خبر",
        "یافت نشد|پیدا نشد|وجود ندارد|موجود نیست|نمی شود|نیافتیم|یافت نمی شود|نہیں ملا|نہیں ملی|"
        "موجود نہیں|ونه موندل شوه|نشته|نەدۆزرایەوە|بوونی نییە|نەدۆزراوە|nehat dîtin|"
        "در دسترس نیست|حذف شده|مورد نظر شما|پیدا نکردیم|پیدا نمی شود|تلاش کر رہے|nehate dîtin",
    ),
    # Hebrew, Yiddish
    (
        "דף|הדף|עמוד|העמוד|המאמר|תוכן|התוכן|הכתבה|קובץ|הכתובת|זייט|בלאט|הקישור",
        "לא נמצא|לא נמצאה|לא קיים|לא קיימת|אינו קיים|אינה קיימת|איננו קיים|לא זמין|אינו זמין|"
        "לא מצאנו|לא הצלחנו למצוא|שחיפשת|שחיפשתם|המבוקש|הוסר|נישט געפונען|לא ניתן למצוא|"
        "שביקשת|אין כזה",
    ),
    # Hindi, Marathi, Nepali
    (
        "पृष्ठ|पेज|पन्ना|लेख|सामग्री|पान|पृष्ठा|वेबपेज|फ़ाइल|पेज़|वेबपृष्ठ",
        "नहीं मिला|नहीं मिल|मौजूद नहीं|उपलब्ध नहीं|नहीं मिली|लापता|सापडले नाही|सापडलं नाही|"
        "फेला परेन|भेटिएन|आढळले नाही|अस्तित्वात नाही|खोज रहे|ढूंढ रहे|नहीं पाया|अवस्थित छैन|"
        "मौजूद नही|सापडत नाही|भेट्टाउन सकिएन",
    ),
    # Bengali, Assamese, Punjabi, Gujarati, Odia
    (
        "পৃষ্ঠা|পৃষ্ঠাটি|পাতা|পাতাটি|পেজ|পেজটি|নিবন্ধ|ਪੰਨਾ|ਸਫ਼ਾ|ਪੇਜ|પૃષ્ઠ|પાનું|પેજ|ପୃଷ୍ଠା|পেইজ",
        "পাওয়া যায়নি|খুঁজে পাওয়া|নেই|বিদ্যমান নেই|পোৱা নগ'ল|ਨਹੀਂ ਮਿਲਿਆ|ਮੌਜੂਦ ਨਹੀਂ|ਨਹੀਂ ਲੱਭ*|"
        "મળ્યું નથી|મળ્યું નહીં|અસ્તિત્વમાં નથી|ମିଳିଲା ନାହିଁ|পাওয়া যাচ্ছে না|মিলেনি|খুঁজছেন|મળી નથી",
    ),
    # Tamil, Telugu, Kannada, Malayalam, Sinhala
    (
        "பக்கம்|பக்கத்தை|பக்கத்தைக்|கட்டுரை|పేజీ|పుట|పేజీని|ಪುಟ|ಪುಟವು|ಪುಟವನ್ನು|പേജ്|താൾ|താളുകൾ|පිටුව|පිටුවක්|ಪೇಜ್",
        "கிடைக்கவில்லை|காணப்படவில்லை|இல்லை|கண்டுபிடிக்க|காணவில்லை|కనబడలేదు|దొరకలేదు|లేదు|"
        "కనుగొనబడలేదు|కనుగొనలేకపోయాము|ಕಂಡುಬಂದಿಲ್ಲ|ಸಿಗಲಿಲ್ಲ|ಇಲ್ಲ|ಕಂಡು ಬಂದಿಲ್ಲ|കണ്ടെത്തിയില്ല|"
        "കണ്ടെത്താനായില്ല|നിലവിലില്ല|ലഭ്യമല്ല|കാണുന്നില്ല|හමු නොවීය|හමුනොවුණි|සොයාගත නොහැක|හමු නොවුණි|නැත",
    ),
    # Vietnamese, Indonesian, Malay, Javanese, Sundanese, Tagalog, Swahili
    (
        "trang|trang web|bài viết|nội dung|tài liệu|tệp|halaman|laman|artikel|konten|alamat|"
        "kandungan|kaca|pahina|ukurasa|makala|pages|kurasa|url|berkas|tautan|pautan",
        "không tìm thấy|không tồn tại|không có|không còn tồn tại|không thể tìm thấy|"
        "không khả dụng|đã bị xóa|bạn đang tìm|bạn tìm kiếm|bạn yêu cầu|tidak ditemukan|"
        "tidak ada|tidak tersedia|tidak dapat ditemukan|tidak dijumpai|tidak wujud|tiada|"
        "yang anda cari|yang anda minta|telah dihapus|ora ketemu|teu kapanggih|"
        "hindi matagpuan|hindi natagpuan|hindi nakita|haukupatikana|haujapatikana|haupo|"
        "hakupatikana|haipatikani|wala|gagal ditemukan|belum ada|sudah tidak",
    ),
    # Basque, Maltese, Albanian, Welsh, Irish, Scottish Gaelic, Breton, Luxembourgish, Esperanto
    (
        "orria|orri|orrialdea|orrialde|edukia|paġna|faqja|faqe|faqes|artikulli|tudalen|dudalen|"
        "y dudalen|leathanach|an leathanach|duilleag|pajenn|bajenn|säit|paĝo|la paĝo|paĝon|"
        "foglia|dalenn|dokumenti|pagjina|pagjine",
        "ez da aurkitu|ezin da aurkitu|ez da existitzen|aurkitu ez|ma nstabitx|ma tinstabx|"
        "nuk u gjet|nuk ekziston|nuk gjendet|nuk mund të gjendet|heb ei chanfod|ddim ar gael|"
        "ddim yn bodoli|ni ddarganfuwyd|methu dod o hyd|gan aimsiú|nach ann|níl|"
        "níorbh fhéidir|cha deach|cha do lorg|n eo ket bet kavet|n eus ket|net fonnt|"
        "net gefonnt|existéiert net|ne trovita|ne estis trovita|ne ekzistas|ma teżistix|"
        "ni trovis|ne renkontris*|nuk është",
    ),
    # Armenian, Georgian, Mongolian, Amharic, Somali, Hausa, Yoruba, Zulu
    (
        "էջ|էջը|էջն|հոդվածը|გვერდი|გვერდის|სტატია|მასალა|хуудас|хуудсыг|ገጽ|ገጹ|ድረገጽ|bogga|bogag|"
        "shafi|shafin|ojú ìwé|ikhasi|iphepha|ድህረ|хуудсаа",
        "չի գտնվել|չգտնվեց|գոյություն չունի|գտնված չէ|չի գտնվում|հասանելի չէ|არ მოიძებნა|"
        "ვერ მოიძებნა|არ არსებობს|ვერ ვიპოვეთ|არ იძებნება|олдсонгүй|байхгүй|አልተገኘም|የለም|"
        "lama helin|lama helo|ba a samu|ba a sami|kò sí|alitholakalanga|olusoo|ma jiro|"
        "չհաջողվեց գտնել|აღარ არსებობს|օգտագործվում չէ|ვერ იქნა",
    ),
)

# Scripts without spaces: (nouns, denials), in either order within a few letters.
DENSE_ROWS: tuple[tuple[str, str], ...] = (
    (
        "页面|网页|頁面|網頁|文章|内容|內容|链接|連結|文件|档案|檔案|地址|网址|網址|資源|资源|页|頁|"
        "记录|新闻|帖子|主题",
        "不存在|未找到|找不到|没有找到|沒有找到|無法找到|无法找到|已删除|已被删除|已刪除|已被刪除|"
        "不见了|不見了|已失效|已下线|找唔到|不到|不復存在|走丢了|丢失|無法顯示|已過期|没找到|遍尋不著|"
        "並不存在|无法访问|已经不存在|查無",
    ),
    (
        "ページ|記事|お探しの|ファイル|コンテンツ|URL|アドレス|サイト|投稿|情報",
        "見つかりません|見つかりませんでした|存在しません|ありません|見当たりません|削除された|"
        "削除されました|移動した|みつかりません|存在しない|見つけられません|見つかりませ|ございません|"
        "公開されていません|終了しました",
    ),
    (
        "페이지|게시물|게시글|문서|기사|콘텐츠|주소|파일|화면|정보|글을|자료",
        "찾을 수 없|존재하지 않|없습니다|없는|삭제|찾지 못|찾을수 없|찾을수없|찾을 수가 없|없어요|"
        "이용할 수 없|변경되었",
    ),
    (
        "หน้า|หน้าเว็บ|บทความ|เนื้อหา|เพจ|ไฟล์|เอกสาร|ข้อมูล|ลิงก์",
        "ไม่พบ|ไม่มี|หาไม่พบ|ไม่เจอ|ถูกลบ|ไม่สามารถหา|ไม่สามารถค้นหา|ที่คุณต้องการ|ที่คุณกำลัง|หาไม่เจอ",
    ),
    ("ទំព័រ|អត្ថបទ|ទំព័រនេះ", "រកមិនឃើញ|មិនមាន|មិនឃើញ|រកពុំឃើញ"),
    ("ໜ້າ|ຫນ້າ|ບົດຄວາມ", "ບໍ່ພົບ|ບໍ່ມີ|ບໍ່ເຫັນ|ບໍ່ທັນມີ"),
    ("စာမျက်နှာ|ဆောင်းပါး", "မတွေ့|မရှိ|ရှာမတွေ့|ရှာမရ"),
)

# Sentences that only a not-found page says, whatever the noun; searched folded. Bare words such
# as "404 not found" are none: texts about web servers quote them.
SENTENCES = (
    "you may have mistyped|may have typed the (?:address|url)|check the (?:url|address|spelling)|"
    "double check the (?:url|address)|looks like (?:nothing was found|you re lost|you are lost)|"
    "the requested url .{1,120} was not found|server (?:could|can) ?not find|"
    "we couldn t find (?:that|this|the|any)|we can t find (?:that|this|the)|"
    "page you (?:are|were|re|have|requested)|page you requested|that page can t be found|"
    "you ve reached a page that|this page could not be found|no results (?:were )?found for|"
    "went wrong or the page|broken link|dead link|lien (?:brise|casse|mort)|toter link|"
    "este enlace puede estar roto|defekter link"
)
# Words that tell of an end; enough only beside an equal sibling. Words of an error or an apology
# are none: applications carry them in the shell they give every address (`An unhandled error has
# occurred. Reload`), and a site in trouble answers everything with them. Nor are those that another
# language has for something else: `archivé`, German `leer` (Spanish: to read), Swedish `tom`.
ENDINGS = (
    "404|410|no longer|expired|unpublished|removed|deleted|withdrawn|closed|ended|discontinued|"
    "retired|gone|missing|empty|no such|wrong turn|dead end|not allowed|not in our database|"
    "not exist|broken|taken down|dépublié*|supprimé*|retiré*|expiré*|périmé*|vide|"
    "indisponible|abgelaufen*|gelöscht*|entfernt*|beendet|depubliziert|eliminad*|retirad*|"
    "caducad*|finalizad*|borrad*|vencid*|vací*|removid*|excluíd*|expirad*|encerrad*|"
    "não permitid*|vazi*|rimoss*|scadut*|eliminat*|cancellat*|chius*|vuot*|verwijderd|verlopen|"
    "gesloten|leeg|borttagen|raderad|tomt|utgått*|slettet|utløpt|udløbet|fjernet|"
    "poistettu|vanhentunut|tyhjä|usunięt*|wygas*|zakończon*|pust*|nieaktualn*|zrušen*|smazán*|"
    "vypršel*|удален*|истек*|закрыт*|снят*|пуст*|недоступн*|видален*|silin*|kaldırıl*|"
    "süresi dol*|boş|törölt*|lejárt|üres|șters*|expirat*|διαγράφ*|έληξε|dihapus|kedaluwarsa|"
    "đã xóa|hết hạn|حذف*|محذوف*|انتهت|منقضی|הוסר*|נמחק*|פג תוקף|हटा*|মুছে"
)
DENSE_ENDINGS = "删除|下架|过期|失效|刪除|過期|削除|終了|期限切れ|삭제|만료|종료|ลบ|หมดอายุ"
