//! The words of names, with what each promises, in the languages in which people name variables.
//!
//! One text per meaning. Names are compared without accents and in lower case; words in other scripts
//! are searched anywhere in a name, because those scripts do not separate words.

use std::collections::HashMap;
use std::sync::OnceLock;

/// The meaning of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameWord {
    Password,
    /// A key: a secret after most words, not after `public` or `primary`.
    Key,
    Token,
    /// A word that names a secret or the kind of authentication.
    Perhaps,
    /// Whose or what for: `PASSWORD_DB`, `TOKEN_GITHUB_ORG`.
    Owner,
    /// The value is not the secret itself.
    Other,
}

const PASSWORD: &str = "\
    password passwords passwd passwort passwoerter passphrase passcode pass pw pwd psw pswd passw passwrd pword \
    pincode kennwort geheimwort losungswort \
    contrasena contrasenia contrasenya clavesecreta palavrapasse senha senhas motdepasse mdp \
    parola haslo heslo lozinka geslo sifre sifresi parolasi \
    wachtwoord losenord passord adgangskode kodeord salasana jelszo parool slaptazodis \
    katasandi sandi matkhau katalaluan parol gaslo fjalekalim lykilord pasahitza contrasinal \
    kodikos synthimatiko sisma mnemonic";

const TOKEN: &str = "\
    token secret secrets apikey authtoken accesstoken refreshtoken bearertoken secretkey accesskey privatekey \
    apitoken apisecret authkey clientsecret appsecret signingkey encryptionkey masterkey seckey servicekey \
    bearer jwt pat sessionid sessiontoken authorization cookie \
    segredo secreto segreto geheim geheimnis sekret tajne salaisuus hemlighet hemmelighed hemmelig titok \
    jeton gettone zeton tokenul rahasia gizli sekretas";

/// Words for a key. Alone they may name a lookup key.
const KEY: &str = "\
    key keys clave claves chave chaves cle clef chiave schluessel schlussel schlusel sleutel klucz klic kljuc \
    anahtar anahtari avain nyckel nokkel nogle kulcs voti raktas atslega kunci khoa clau giltza klyuch kleidi";

const PERHAPS: &str = "\
    credential credentials creds cred auth authentication cookies signature sig webhook pin otp totp";

const OWNER: &str = "\
    db database server service client account admin root user org organization workspace team project tenant api \
    app application bot web site smtp imap mail email ftp ssh ldap redis mysql postgres postgresql pg mongo mongodb \
    mariadb oracle mssql sql elastic neo4j rabbitmq kafka vpn wifi proxy github gitlab openai anthropic google \
    aws azure slack jira confluence notion stripe discord telegram linear sentry figma \
    de da do del della du des der die das dos la le el van von of for to z dla pour para per fur fuer \
    acceso acces accesso acesso zugang zugriff dostepu bdd bd base";

/// Last words that say that the value is not the secret itself.
const OTHER: &str = "\
    id ids url uri urls uris endpoint path paths file files filename dir directory folder host hostname port name \
    username login type kind driver limit limits max min count size ttl expiry expires expiration length budget mode \
    method provider model region zone format header headers prefix suffix enabled enable disabled timeout location \
    env scheme algorithm alg version store storage backend table field column issuer audience scope scopes tokenizer \
    tokens level debug domain required only lifetime interval policy strategy flow profile context schema index \
    collection bucket ref reference branch tag sock socket agent redirect callback rotation cmd command script helper \
    source var variable vars names window hint question label description doc docs help usage rate price cost cache \
    loc class fields list map pattern regex rule rules check validation validator encoding hash hashed fingerprint \
    thumbprint checksum digest manager engine module plugin plugins extension placement position order sort days hours \
    minutes seconds secs ms age date time at by in exists present set flag status state is arn vault \
    usuario usuarios utilisateur benutzer benutzername uzytkownik kullanici nome nom nombre ruta chemin pfad fichier \
    archivo arquivo datei sciezka dosya \
    address addresses integrity spreadsheet spreadsheets";

/// Last words without a meaning: `API_KEY_1`, `TOKEN_PROD`, `KEY_HERE`.
const EMPTY: &str = "\
    prod production dev development staging stage test testing live sandbox default value new old current next previous \
    backup primary secondary personal admin rw ro readonly read write full b64 base64 json string str text plain raw \
    header main local remote global v1 v2 v3 v4 here override custom legacy alt";

/// Words before a final `key` that make it not a secret.
const KEY_OTHER: &str = "\
    public publishable primary foreign sort partition cache project issue hot shortcut s3 object lookup group config \
    registry row host map dict hash range shard routing message event metric label translation i18n locale idempotency \
    dedupe session_store site sitekey recaptcha unique composite natural surrogate index column field json yaml query \
    param parameter header cookie property prop attribute known allowed supported valid required ignored excluded included redacted sensitive extra other \
    arrow enter escape tab modifier bind binding toggle \
    activation trigger leader command menu wake push name sub parent child node item list set sorted zset redis kv \
    publica publique pubblica offentlicher tag file pub";

/// Parts of names in scripts without spaces or with endings, and of names whose words are joined.
const ANYWHERE: &[(&str, NameWord)] = &[
    ("密码", NameWord::Password),
    ("密碼", NameWord::Password),
    ("口令", NameWord::Password),
    ("パスワード", NameWord::Password),
    ("暗証", NameWord::Password),
    ("비밀번호", NameWord::Password),
    ("암호", NameWord::Password),
    ("패스워드", NameWord::Password),
    ("парол", NameWord::Password),
    ("лозинк", NameWord::Password),
    ("гасло", NameWord::Password),
    ("κωδικ", NameWord::Password),
    ("συνθηματικ", NameWord::Password),
    ("סיסמ", NameWord::Password),
    ("كلمة", NameWord::Password),
    ("گذرواژه", NameWord::Password),
    ("رمز", NameWord::Password),
    ("पासवर्ड", NameWord::Password),
    ("รหัสผ่าน", NameWord::Password),
    ("令牌", NameWord::Token),
    ("密钥", NameWord::Token),
    ("密鑰", NameWord::Token),
    ("秘钥", NameWord::Token),
    ("金鑰", NameWord::Token),
    ("凭证", NameWord::Token),
    ("憑證", NameWord::Token),
    ("授权码", NameWord::Token),
    ("秘密", NameWord::Token),
    ("トークン", NameWord::Token),
    ("シークレット", NameWord::Token),
    ("鍵", NameWord::Token),
    ("キー", NameWord::Token),
    ("토큰", NameWord::Token),
    ("비밀키", NameWord::Token),
    ("인증키", NameWord::Token),
    ("키", NameWord::Token),
    ("токен", NameWord::Token),
    ("ключ", NameWord::Token),
    ("секрет", NameWord::Token),
    ("κλειδ", NameWord::Token),
    ("מפתח", NameWord::Token),
    ("مفتاح", NameWord::Token),
    ("کلید", NameWord::Token),
    ("कुंजी", NameWord::Token),
    ("टोकन", NameWord::Token),
    ("กุญแจ", NameWord::Token),
    ("โทเค็น", NameWord::Token),
];

/// Ends of joined words, the longest first, and how many letters must stand before them.
const ENDS: &[(&str, usize, NameWord)] = &[
    ("passphrase", 0, NameWord::Password),
    ("contrasena", 0, NameWord::Password),
    ("motdepasse", 0, NameWord::Password),
    ("wachtwoord", 0, NameWord::Password),
    ("kennwort", 0, NameWord::Password),
    ("password", 0, NameWord::Password),
    ("passwort", 0, NameWord::Password),
    ("losenord", 0, NameWord::Password),
    ("salasana", 0, NameWord::Password),
    ("passwd", 0, NameWord::Password),
    ("passord", 0, NameWord::Password),
    ("parola", 0, NameWord::Password),
    ("haslo", 2, NameWord::Password),
    ("heslo", 2, NameWord::Password),
    ("senha", 2, NameWord::Password),
    ("sifre", 2, NameWord::Password),
    ("apikey", 0, NameWord::Token),
    ("secret", 1, NameWord::Token),
    ("token", 1, NameWord::Token),
    ("jeton", 2, NameWord::Token),
    ("passw", 1, NameWord::Password),
    ("pass", 2, NameWord::Password),
    ("pswd", 1, NameWord::Password),
    ("pwd", 1, NameWord::Password),
    ("psw", 2, NameWord::Password),
    ("schluessel", 2, NameWord::Key),
    ("schlussel", 2, NameWord::Key),
    ("key", 2, NameWord::Key),
    ("pw", 2, NameWord::Password),
];

/// Words that end like one of them and mean something else.
const OTHER_ENDS: &str = "\
    compass bypass overpass underpass trespass encompass surpass multipass onepass impasse oldpwd monkey turkey hockey donkey \
    hotkey jockey whiskey hickey keykey lackey mickey smokey disney spooky okey nopass noapikey";

fn meanings() -> &'static HashMap<&'static str, NameWord> {
    static WORDS: OnceLock<HashMap<&'static str, NameWord>> = OnceLock::new();
    WORDS.get_or_init(|| {
        // A word in several texts has the meaning of the last one.
        [
            (OWNER, NameWord::Owner),
            (OTHER, NameWord::Other),
            (PERHAPS, NameWord::Perhaps),
            (KEY, NameWord::Key),
            (TOKEN, NameWord::Token),
            (PASSWORD, NameWord::Password),
        ]
        .into_iter()
        .flat_map(|(text, meaning)| text.split_whitespace().map(move |word| (word, meaning)))
        .collect()
    })
}

/// What a word means: as it stands, in another script, or by its end.
pub(super) fn meaning(word: &str) -> Option<NameWord> {
    if let Some(known) = meanings().get(word) {
        return Some(*known);
    }
    if !word.is_ascii() {
        let found = ANYWHERE.iter().find(|(part, _)| word.contains(part));
        return found.map(|(_, meaning)| *meaning);
    }
    by_end(word)
}

fn by_end(word: &str) -> Option<NameWord> {
    if holds(OTHER_ENDS, word) {
        return Some(NameWord::Other);
    }
    let (rest, meaning) = ENDS.iter().find_map(|(end, before, meaning)| {
        let rest = word.strip_suffix(end)?;
        (rest.len() >= *before && !rest.is_empty()).then_some((rest, *meaning))
    })?;
    // `publickey`, `maxtoken`.
    let other = meaning == NameWord::Key && holds(KEY_OTHER, rest);
    Some(if other { NameWord::Other } else { meaning })
}

/// Whether a last word has no meaning of its own.
pub(super) fn is_empty(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit()) || holds(EMPTY, word)
}

/// Whether a key after this word is not a secret.
pub(super) fn is_before_other_key(word: &str) -> bool {
    holds(KEY_OTHER, word)
}

fn holds(text: &'static str, word: &str) -> bool {
    text.split_whitespace().any(|known| known == word)
}

/// A letter without its accent; `None` for a mark that only adds one.
pub(super) fn without_accent(letter: char) -> Option<char> {
    Some(match letter {
        '\u{300}'..='\u{36f}' => return None,
        'à'..='å'
        | 'ā'
        | 'ă'
        | 'ą'
        | 'ạ'
        | 'ả'
        | 'ấ'
        | 'ầ'
        | 'ẩ'
        | 'ẫ'
        | 'ậ'
        | 'ắ'
        | 'ằ'
        | 'ẳ'
        | 'ẵ'
        | 'ặ' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē' | 'ę' | 'ě' | 'ė' => 'e',
        'ğ' | 'ģ' => 'g',
        'ì'..='ï' | 'ī' | 'į' | 'ı' => 'i',
        'ķ' => 'k',
        'ł' | 'ľ' | 'ļ' | 'ĺ' => 'l',
        'ñ' | 'ń' | 'ň' | 'ņ' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ř' | 'ŕ' => 'r',
        'ś' | 'ş' | 'š' | 'ș' | 'ß' => 's',
        'ť' | 'ţ' | 'ț' => 't',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    })
}
