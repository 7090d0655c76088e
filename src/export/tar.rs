//! Tar archives (POSIX.1-2017, `pax`, "ustar Interchange Format"): plain files, with a pax header where a name or a
//! length does not fit.

const BLOCK: u64 = 512;
/// The empty blocks that end an archive, in bytes.
pub(super) const END: u64 = 2 * BLOCK;
const NAME: usize = 100;
/// The first length that eleven octal digits do not hold.
const LONG: u64 = 1 << 33;

/// What precedes a file's content.
pub(super) fn header(name: &str, size: u64) -> Vec<u8> {
    let mut records = String::new();
    if name.len() > NAME {
        records += &record("path", name);
    }
    if size >= LONG {
        records += &record("size", &size.to_string());
    }
    let mut bytes = Vec::new();
    if !records.is_empty() {
        bytes.extend(block(b'x', "pax", records.len() as u64));
        bytes.extend(records.as_bytes());
        bytes.extend(padding(records.len() as u64));
    }
    bytes.extend(block(b'0', name, size));
    bytes
}

/// What follows a file's content.
pub(super) fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let over = usize::try_from(size % BLOCK).unwrap_or(0);
    if over == 0 { &[] } else { &ZEROS[over..] }
}

/// How long a file is with all that surrounds it.
pub(super) fn length(name: &str, size: u64) -> u64 {
    (header(name, size).len() as u64).saturating_add(size).saturating_add(padding(size).len() as u64)
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length =
        (1..=4).map(|digits| rest + digits).find(|length| rest + length.to_string().len() == *length);
    format!("{} {key}={value}\n", length.unwrap_or(rest))
}

fn block(kind: u8, name: &str, size: u64) -> [u8; BLOCK as usize] {
    let mut block = [0; BLOCK as usize];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, &name.as_bytes()[..name.len().min(NAME)]);
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{:011o}", if size < LONG { size } else { 0 }).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_itself() {
        assert_eq!(record("size", "8589934592"), "19 size=8589934592\n");
        for length in 85..105 {
            let record = record("path", &"a".repeat(length));
            assert_eq!(record.split(' ').next().unwrap(), record.len().to_string());
        }
    }

    #[test]
    fn headers_are_whole_blocks() {
        for (name, size) in [("a", 0), ("a", 512), ("a", 513), (&*"b".repeat(142), 1), ("c", LONG)] {
            assert_eq!(header(name, size).len() % 512, 0);
            assert_eq!(length(name, size) % 512, 0);
        }
        assert_eq!(header("c", LONG - 1).len(), 512);
        assert_eq!(header("c", LONG).len(), 3 * 512);
    }
}
