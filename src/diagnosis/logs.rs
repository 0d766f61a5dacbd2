//! What the usual proxies and clients write when a request dies this way, so that a log line leads to the packets. The
//! lines are those that `finrace explain` knows, in the same place.

use std::collections::BTreeMap;

use crate::messages;
use crate::report::Cause;

/// Log texts by product.
pub fn would_log(cause: Cause) -> BTreeMap<String, String> {
    messages::usual(cause)
}
