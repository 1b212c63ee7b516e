#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::disallowed_methods
)]
use mcpwrap::{config::*, dirs::Dirs, grant, policy, secret::*, store::*};
fn main() {
    let dirs = Dirs::from_env().unwrap();
    let args: Vec<String> = std::env::args().collect();
    let mut config = Config::load(&dirs).unwrap();
    if args[1] == "init" {
        config.store = StoreKind::File;
        let kf = dirs.home().join("key.txt");
        config.key_file = Some(kf.display().to_string());
        prepare_key_file(&dirs, &kf).unwrap();
        config.save(&dirs).unwrap();
        create_vault(&dirs, &config).unwrap();
        std::process::exit(0);
    }
    let store = open(&dirs, &config, Prompt::Never).unwrap();
    let keys = keys_or_create(&*store).unwrap();
    match args[1].as_str() {
        "set" => {
            let v = Secret::new(args[3].clone().into_bytes());
            let name = SecretName::new(&args[2]).unwrap();
            store
                .put(
                    &name,
                    &Item {
                        value: v.clone(),
                        profile: None,
                        expires: None,
                    },
                )
                .unwrap();
            Index::update(&dirs, |i| {
                i.note(&name, keys.fingerprint(&v), None, None);
            })
            .unwrap();
        }
        "grant" => {
            let p = policy::load(&dirs, &ServerName::new(&args[2]).unwrap(), None).unwrap();
            grant::grant(&dirs, &p, &keys, grant::By::Yes).unwrap();
        }
        "revoke" => grant::revoke(&dirs, &ServerName::new(&args[2]).unwrap(), None).unwrap(),
        _ => {}
    }
}
