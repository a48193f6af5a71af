//! The engine's mistakes made on purpose, called by `npm run test:asan` alone. In no other build, and in no loader.

use napi::{Error, Result};
use napi_derive::napi;

/// Makes the mistake of that name.
#[napi]
pub fn plant(mistake: String) -> Result<()> {
    memlane_engine::region::planted::plant(&mistake).map_err(|error| Error::from_reason(error.to_string()))
}
