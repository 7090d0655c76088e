//! refused: E0603

use portcullis::http::reply::Body;

pub fn forged(bytes: &'static [u8]) -> Body {
    Body::literal(bytes)
}
