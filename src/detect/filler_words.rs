//! The words of placeholders, in the languages in which people write them. Separated by blanks.

use std::collections::HashSet;
use std::sync::LazyLock;

type WordSet = LazyLock<HashSet<&'static str>>;

macro_rules! words {
    ($list:literal) => {
        LazyLock::new(|| $list.split_whitespace().collect())
    };
}

/// Values that are placeholders as a whole.
pub(super) static WHOLE: WordSet = words!(
    "\
    none null nil undefined n/a na tbd todo fixme test testing dummy fake example sample placeholder \
    changeme change-me change_me changeit secret password passwd token key apikey api_key api-key value \
    string foo bar foobar hunter2 redacted removed hidden masked optional required your-key ... … - *** \
    abc abc123 123 1234 12345 123456 12345678 123456789 1234567890 xyz unset empty qwerty asdf asdfasdf \
    blah whatever anything something somevalue somekey sometoken notused not-used unused not-needed \
    notneeded not-required notrequired no-key no-key-required sk-no-key-required ignored lm-studio \
    lmstudio ollama local localhost changethis change-this setme set-me fillme fill-me from-env see-env \
    missing deadbeef supersecret topsecret letmein unknown default private hidden-value demo dev"
);

/// Words that no token contains as a word.
pub(super) static WORDS: WordSet = words!(
    "\
    your yours you changeme change replace replaceme replacewith placeholder insert enter paste here \
    dummy example redacted todo fixme yourkey yourtoken yourapikey goes fill provide obtain tu su aqui \
    aquí clave coloca reemplazar reemplaza seu sua chave insira substitua votre ici remplacer remplacez \
    tuo tua inserisci qui chiave dein deine deinen ihr ihre ihren hier einfügen einfuegen ersetzen \
    schlüssel schluessel jouw uw invullen twój twoj tutaj wpisz senin buraya anahtar masukkan anda ganti \
    của bạn din ditt här tvůj sem vložte"
);

/// Short words of the list above that a password may contain; they count only beside another one.
pub(super) static SHORT: WordSet = words!(
    "\
    tu su qui uw din sem ihr you here change seu sua tua tuo ici"
);

/// Words with which a value says that it is none; they count if all its words are known ones.
pub(super) static WEAK: WordSet = words!(
    "\
    test testing demo sample fake mock local dev real none needed required unused temp temporary invalid optional \
    missing empty set put add use get from some any valid actual own env value unset dummy this me my the a an in is \
    not no with of for"
);

/// Words that name what a value is for.
pub(super) static NOUNS: WordSet = words!(
    "\
    key token secret password pass passwd apikey api access auth id client app value credential credentials string \
    bearer github openai anthropic google slack notion linear brave exa tavily server user db database account service \
    here sk pat ghp xoxb mcp bot"
);
