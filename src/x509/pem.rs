//! Writes PEM (RFC 7468, section 3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One block.
pub fn write(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: String = lines.flat_map(|line| [line, "\n".into()]).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}
