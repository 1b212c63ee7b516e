//! The keychain store over a credential store in memory, reached as on macOS: bounded, attributes beside.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use keyring_core::error::Result as CoreResult;

use super::beside::AttributesBeside;
use super::bounded::{BoundedStore, Limit, NoAnswer};
use super::*;

type Items = Arc<Mutex<BTreeMap<(String, String), Vec<u8>>>>;

/// A store in memory.
#[derive(Clone, Debug, Default)]
struct MemoryStore(Items);

#[derive(Clone, Debug)]
struct MemoryCredential {
    items: Items,
    name: (String, String),
}

impl CredentialStoreApi for MemoryStore {
    fn vendor(&self) -> String {
        "memory".to_owned()
    }

    fn id(&self) -> String {
        "memory".to_owned()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        _: Option<&HashMap<&str, &str>>,
    ) -> CoreResult<Entry> {
        Ok(Entry::new_with_credential(Arc::new(MemoryCredential {
            items: Arc::clone(&self.0),
            name: (service.to_owned(), user.to_owned()),
        })))
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> CoreResult<Vec<Entry>> {
        let items = self.0.lock().unwrap();
        let names = items.keys().filter(|name| spec["service"] == name.0);
        names
            .map(|name| self.build(&name.0, &name.1, None))
            .collect()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl CredentialApi for MemoryCredential {
    fn set_secret(&self, secret: &[u8]) -> CoreResult<()> {
        let mut items = self.items.lock().unwrap();
        items.insert(self.name.clone(), secret.to_vec());
        Ok(())
    }

    fn get_secret(&self) -> CoreResult<Vec<u8>> {
        let items = self.items.lock().unwrap();
        items.get(&self.name).cloned().ok_or(CoreError::NoEntry)
    }

    fn delete_credential(&self) -> CoreResult<()> {
        let mut items = self.items.lock().unwrap();
        items.remove(&self.name).map(drop).ok_or(CoreError::NoEntry)
    }

    fn get_credential(&self) -> CoreResult<Option<Arc<Credential>>> {
        self.get_secret().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some(self.name.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn limit(ms: u64) -> Limit {
    Limit {
        time: Duration::from_millis(ms),
        guard: || None,
    }
}

fn keychain() -> (KeychainStore, MemoryStore) {
    let memory = MemoryStore::default();
    let inner: Arc<CredentialStore> = Arc::new(memory.clone());
    let store: Arc<CredentialStore> = Arc::new(BoundedStore {
        inner,
        limit: limit(10_000),
    });
    let batch = Box::new(AttributesBeside {
        store: Arc::clone(&store),
        manager: "the test",
    });
    (KeychainStore { store, batch }, memory)
}

fn item(value: &[u8], profile: Option<&str>) -> SecretItem {
    SecretItem {
        value: Secret::new(value.to_vec()),
        profile: profile.map(|text| text.parse().unwrap()),
        expires: profile.map(|_| "2027-02-28T10:00:00Z".parse().unwrap()),
    }
}

#[test]
fn attributes_are_beside_and_go_with_the_credential() {
    let (keychain, memory) = keychain();
    let (one, two): (SecretName, SecretName) = ("a/b".parse().unwrap(), "c".parse().unwrap());
    let full = item(b"value-one", Some("prod"));
    keychain.put(&one, &full).unwrap();
    keychain.put(&two, &item(b"value-two", None)).unwrap();
    keychain.set_master(&Secret::new(vec![7; 32])).unwrap();
    assert_eq!(keychain.get(&one).unwrap(), full);
    assert_eq!(memory.0.lock().unwrap().len(), 4);
    assert_eq!(keychain.names().unwrap(), [one.clone(), two.clone()]);

    // What earlier versions wrote.
    let beside = ("mcpwrap-attributes".to_owned(), "a/b".to_owned());
    let text = b"{\"profile\":\"dev\",\"expires\":\"2027-02-28\"}".to_vec();
    memory.0.lock().unwrap().insert(beside.clone(), text);
    let read = keychain.get(&one).unwrap();
    assert_eq!(read.profile.unwrap().as_str(), "dev");
    assert_eq!(read.expires, Some("2027-02-28".parse().unwrap()));

    // Something else there could have been a restriction.
    memory
        .0
        .lock()
        .unwrap()
        .insert(beside.clone(), b"odd".to_vec());
    assert_eq!(keychain.get(&one).unwrap_err().code, Code::StoreFailed);
    memory.0.lock().unwrap().insert(beside, b"{}".to_vec());

    let batch = keychain.get_all(&[two.clone(), "d".parse().unwrap()]);
    let batch = batch.unwrap();
    assert_eq!(batch.master.unwrap().expose(), [7; 32]);
    assert_eq!(batch.items[0].as_ref().unwrap(), &item(b"value-two", None));
    assert_eq!(
        batch.items[1].as_ref().unwrap_err().code,
        Code::SecretNotFound
    );

    keychain.put(&one, &full).unwrap();
    keychain.put(&one, &item(b"value-one", None)).unwrap();
    assert_eq!(keychain.get(&one).unwrap(), item(b"value-one", None));
    assert_eq!(memory.0.lock().unwrap().len(), 3);
    keychain.put(&one, &full).unwrap();
    keychain.remove(&one).unwrap();
    assert_eq!(
        keychain.remove(&one).unwrap_err().code,
        Code::SecretNotFound
    );
    keychain.put(&one, &full).unwrap();
    keychain.clear().unwrap();
    assert!(memory.0.lock().unwrap().is_empty());
}

/// A store that answers only when the test is over.
#[derive(Debug)]
struct HangingStore(MemoryStore, Arc<(Mutex<bool>, Condvar)>);

impl CredentialStoreApi for HangingStore {
    fn vendor(&self) -> String {
        self.0.vendor()
    }

    fn id(&self) -> String {
        self.0.id()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> CoreResult<Entry> {
        self.0.build(service, user, modifiers)
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> CoreResult<Vec<Entry>> {
        let over = self.1.0.lock().unwrap();
        drop(self.1.1.wait_while(over, |over| !*over).unwrap());
        self.0.search(spec)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn a_store_that_hangs_is_left() {
    let over = Arc::new((Mutex::new(false), Condvar::new()));
    let store = BoundedStore {
        inner: Arc::new(HangingStore(MemoryStore::default(), Arc::clone(&over))),
        limit: limit(30),
    };
    let start = Instant::now();
    let error = store
        .search(&HashMap::from([("service", "x")]))
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    let CoreError::PlatformFailure(inner) = error else {
        panic!("{error}");
    };
    assert!(inner.downcast_ref::<NoAnswer>().is_some());
    // Its credentials answer.
    let entry = store.build("x", "y", None).unwrap();
    entry.set_password("value").unwrap();
    assert_eq!(entry.get_password().unwrap(), "value");
    *over.0.lock().unwrap() = true;
    over.1.notify_all();
    entry.delete_credential().unwrap();
    assert!(matches!(entry.get_secret(), Err(CoreError::NoEntry)));
}
