//! The stored registrations: one per issuer and form of the redirect.

use super::index::{OAuthIndex, RegistrationRow};
use super::item;
use super::place::TokenPlace;
use super::registration::Registration;
use crate::error::Result;
use crate::store::own_items;

/// The registration at an issuer, if there is one. `form`: what is fixed of the redirect.
///
/// # Errors
/// Those of the store.
pub fn find(place: &TokenPlace<'_>, issuer: &str, form: &str) -> Result<Option<Registration>> {
    let name = item::registration_name(issuer, form)?;
    let found = item::read_registration(place.store, &name)?;
    Ok(found.filter(|found| found.issuer == issuer))
}

/// Stores a registration.
///
/// # Errors
/// Those of the store.
pub fn keep(place: &TokenPlace<'_>, form: &str, registration: &Registration) -> Result<()> {
    let name = item::registration_name(&registration.issuer, form)?;
    item::write(place.store, &name, registration)?;
    let row = RegistrationRow {
        issuer: registration.issuer.clone(),
        client_id: registration.client.id.clone(),
        redirect: registration.redirect.clone(),
    };
    OAuthIndex::update(place.dirs, |index| index.registrations.insert(name, row)).map(drop)
}

/// Removes the registrations of a client that its issuer does not know anymore.
pub fn forget(place: &TokenPlace<'_>, id: &str) {
    let Ok(index) = OAuthIndex::load(place.dirs) else {
        return;
    };
    let rows = index
        .registrations
        .iter()
        .filter(|(_, row)| row.client_id == id);
    for (name, _) in rows {
        if let Err(error) = own_items::remove(place.store, name) {
            tracing::warn!("{}", error.text());
        }
        let removed = OAuthIndex::update(place.dirs, |index| index.registrations.remove(name));
        if let Err(error) = removed {
            tracing::warn!("{}", error.text());
        }
    }
}
