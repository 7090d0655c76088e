//! Writes the small archives that images and charts are made of, so that real clients unpack them:
//! ustar, and gzip in stored blocks. Reads none.

/// A tar archive (POSIX ustar) of plain files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        archive.extend_from_slice(&header(name, content.len()));
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// The same content as a gzip member (RFC 1952) of stored blocks (RFC 1951, section 3.2.4).
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks: Vec<&[u8]> = content.chunks(0xffff).collect();
    for (at, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        member.push(u8::from(at + 1 == blocks.len()));
        member.extend_from_slice(&length.to_le_bytes());
        member.extend_from_slice(&(!length).to_le_bytes());
        member.extend_from_slice(block);
    }
    member.extend_from_slice(&crc32(content).to_le_bytes());
    // The length counts modulo 2^32.
    member.extend_from_slice(&(content.len() as u32).to_le_bytes());
    member
}

fn header(name: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut field = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    field(0, &name.as_bytes()[..name.len().min(100)]);
    field(100, b"0000755\0");
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{size:011o}\0").as_bytes());
    field(136, b"00000000000\0");
    // The checksum is taken with its own field blank.
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

fn crc32(content: &[u8]) -> u32 {
    let step = |crc: u32| (0..8).fold(crc, |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 });
    !content.iter().fold(u32::MAX, |crc, byte| step((crc ^ u32::from(*byte)) & 0xff) ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let archive = tar(&[("hello", b"world")]);
        assert_eq!(archive.len(), 512 + 512 + 1024);
        let stated = u32::from_str_radix(std::str::from_utf8(&archive[148..154]).unwrap(), 8).unwrap();
        let blank: u32 = archive[..512].iter().map(|b| u32::from(*b)).sum::<u32>()
            - archive[148..156].iter().map(|b| u32::from(*b)).sum::<u32>()
            + 8 * 32;
        assert_eq!(stated, blank);
    }

    #[test]
    fn gzip_splits_at_the_block_limit() {
        let content = vec![7; 0x1_0000];
        let member = gzip(&content);
        assert_eq!(member.len(), 10 + 2 * 5 + content.len() + 8);
        assert_eq!((member[10], member[10 + 5 + 0xffff]), (0, 1), "only the last block is marked final");
    }
}
