//! A tar archive's header blocks.

pub(super) const BLOCK: u64 = 512;

pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// Says more about the next file.
    Pax,
    /// GNU's way of giving the next file a long name.
    LongName,
    /// About all files: nothing of it is looked at.
    Comment,
}

/// What a pax header says that matters.
#[derive(Default)]
pub(super) struct Extended {
    pub(super) path: Option<String>,
    pub(super) size: Option<u64>,
}

impl Header {
    /// Reads a block; `None` for the empty one that ends an archive.
    ///
    /// # Errors
    /// A wrong checksum, a number that is none, a kind that is neither file nor folder.
    pub(super) fn read(block: &[u8; BLOCK as usize]) -> Result<Option<Self>, String> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u64::from(*b) })
            .sum();
        if number(&block[148..156])? != sum {
            return Err("no tar header: its checksum is wrong".to_owned());
        }
        let kind = match block[156] {
            b'0' | 0 => Kind::File,
            b'5' => Kind::Folder,
            b'x' => Kind::Pax,
            b'L' => Kind::LongName,
            b'g' => Kind::Comment,
            b'1' | b'2' => return Err("a link, and only plain files may be in it".to_owned()),
            other => {
                let kind = char::from(other).escape_default();
                return Err(format!("an entry of the kind {kind}, and only plain files may be in it"));
            }
        };
        let is_posix = &block[257..263] == b"ustar\0";
        let name = text(&block[..100])?;
        let prefix = if is_posix { text(&block[345..500])? } else { String::new() };
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        Ok(Some(Self { kind, name, size: number(&block[124..136])? }))
    }
}

/// The path of a plain file, below the archive's root; `None` for what is no path of a layout, which is passed over.
///
/// # Errors
/// A path that leads elsewhere.
pub(super) fn plain(name: &str) -> Result<Option<&str>, String> {
    let path = name.trim_start_matches("./");
    let leads_away = path.starts_with('/') || path.split('/').any(|step| step == "..");
    if leads_away {
        return Err(format!("the path {} leads out of it", name.escape_default()));
    }
    let is_plain = path.split('/').all(|step| !matches!(step, "" | "."));
    Ok(is_plain.then_some(path))
}

/// Records `LENGTH KEY=VALUE\n`.
///
/// # Errors
/// Malformed records, and files with holes.
pub(super) fn pax(mut bytes: &[u8]) -> Result<Extended, String> {
    let malformed = || "a malformed pax header".to_owned();
    let mut extended = Extended::default();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(malformed)?;
        let length =
            std::str::from_utf8(&bytes[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let length = length.filter(|length| *length > space + 1).ok_or_else(malformed)?;
        let record = bytes.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n"));
        let record = record.and_then(|record| std::str::from_utf8(record).ok()).ok_or_else(malformed)?;
        let (key, value) = record.split_once('=').ok_or_else(malformed)?;
        match key {
            "path" => extended.path = Some(value.to_owned()),
            "size" => extended.size = Some(value.parse().map_err(|_| malformed())?),
            key if key.starts_with("GNU.sparse") => {
                return Err("a file with holes, and only plain files may be in it".to_owned());
            }
            _ => {}
        }
        bytes = &bytes[length..];
    }
    Ok(extended)
}

/// The characters before the first NUL.
///
/// # Errors
/// What is not UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<String, String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "a name that is not UTF-8".to_owned())?;
    Ok(text.to_owned())
}

/// An octal number, or GNU's form for large ones: a set first bit, then big-endian bytes.
fn number(field: &[u8]) -> Result<u64, String> {
    let malformed = || "a number that is none".to_owned();
    if field[0] & 0x80 != 0 {
        let mut number = u64::from(field[0] & 0x7f);
        for byte in &field[1..] {
            number = number.checked_mul(256).ok_or_else(malformed)? | u64::from(*byte);
        }
        return Ok(number);
    }
    let digits = std::str::from_utf8(field).map_err(|_| malformed())?.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| malformed())
}
