//! Values of stores that one session keeps in memory, for stores whose definition says so (`cache`): a
//! server that crashed starts again without asking them.
//!
//! Invariants: only in the memory of the supervisor, which has the values anyway, to mask them. What ends by
//! itself is not kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::reference::StorePlace;
use crate::secret::StoreName;
use crate::store::source::SourceValue;

/// Words in a reference to a value that is used once.
const ONCE: &[&str] = &["attribute=otp", "attribute=totp", "#otp", "#totp"];

/// See the module.
#[derive(Debug, Default)]
pub struct ValueCache(Mutex<BTreeMap<(StoreName, StorePlace), KnownValue>>);

#[derive(Debug)]
struct KnownValue {
    since: Instant,
    value: SourceValue,
}

impl ValueCache {
    fn all(&self) -> MutexGuard<'_, BTreeMap<(StoreName, StorePlace), KnownValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, if it is younger than `limit`.
    pub fn get(
        &self,
        store: &StoreName,
        place: &StorePlace,
        limit: Duration,
    ) -> Option<SourceValue> {
        let all = self.all();
        let known = all.get(&(store.clone(), place.clone()))?;
        (known.since.elapsed() < limit).then(|| known.value.clone())
    }

    /// Keeps a value that a store just gave, in place of an older one.
    pub fn put(&self, store: &StoreName, place: &StorePlace, value: &SourceValue) {
        let key = (store.clone(), place.clone());
        if value.expires.is_some() || is_for_once(place) {
            self.all().remove(&key);
            return;
        }
        let known = KnownValue {
            since: Instant::now(),
            value: value.clone(),
        };
        self.all().insert(key, known);
    }
}

fn is_for_once(place: &StorePlace) -> bool {
    let StorePlace {
        path,
        field,
        version: _,
    } = place;
    let text = format!("{path}#{}", field.as_deref().unwrap_or_default()).to_lowercase();
    ONCE.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Reference;
    use crate::secret::Secret;

    #[test]
    fn what_ends_by_itself_is_not_kept() {
        let cache = ValueCache::default();
        let store = StoreName::new("op").unwrap();
        let hour = Duration::from_hours(1);
        let value = |expires| SourceValue {
            value: Secret::new(b"v".to_vec()),
            version: None,
            expires,
        };
        let place = |text: &str| match Reference::new(text).unwrap() {
            Reference::Store(found) => found.place,
            other => panic!("{other:?}"),
        };
        let kept = |path: &str| cache.get(&store, &place(path), hour).is_some();
        let now = jiff::Timestamp::now();
        for (path, expires, is_kept) in [
            ("op:Work/GitHub/token", None, true),
            ("op:Work/GitHub/lease", Some(now), false),
            ("op://Work/GitHub/code?attribute=otp", None, false),
            ("kp:Work/GitHub#otp", None, false),
        ] {
            cache.put(&store, &place(path), &value(expires));
            assert_eq!(kept(path), is_kept, "{path}");
        }
        let place = place("op:Work/GitHub/token");
        assert!(cache.get(&store, &place, Duration::ZERO).is_none());
        // The same value, which now has an end.
        cache.put(&store, &place, &value(Some(now)));
        assert!(cache.get(&store, &place, hour).is_none());
    }
}
