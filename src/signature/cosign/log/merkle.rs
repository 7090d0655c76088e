//! Merkle inclusion proofs: RFC 9162, section 2.1.3.2.

use sha2::{Digest as _, Sha256};

type Hash = [u8; 32];

/// The hash of an entry.
pub(super) fn leaf(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// The root that a proof leads to.
///
/// # Errors
/// The proof has not the length or form that number and size ask for.
pub(super) fn root(leaf: Hash, index: u64, size: u64, proof: &[Vec<u8>]) -> Result<Hash, String> {
    if index >= size {
        return Err(format!("its number {index} is beyond a tree of {size}"));
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        let sibling: &Hash = sibling
            .as_slice()
            .try_into()
            .map_err(|_| "a hash of its inclusion proof is no SHA-256".to_owned())?;
        if last == 0 {
            return Err("its inclusion proof is too long".to_owned());
        }
        if node & 1 == 1 || node == last {
            hash = parent(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = parent(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 { Ok(hash) } else { Err("its inclusion proof is too short".to_owned()) }
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree over leaves, and the proof of one (RFC 9162, sections 2.1.1 and 2.1.3.1).
    fn tree(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                parent(&tree(left), &tree(right))
            }
        }
    }

    fn proof(leaves: &[Hash], index: usize) -> Vec<Vec<u8>> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        let (mut path, sibling) = if index < left.len() {
            (proof(left, index), tree(right))
        } else {
            (proof(right, index - left.len()), tree(left))
        };
        path.push(sibling.to_vec());
        path
    }

    fn split(n: usize) -> usize {
        n.next_power_of_two() / 2
    }

    #[test]
    fn every_leaf_of_every_tree_leads_to_its_root_and_nowhere_else() {
        let leaves: Vec<Hash> = (0..33_u8).map(|n| leaf(&[n])).collect();
        for size in 1..=leaves.len() {
            let expected = tree(&leaves[..size]);
            for index in 0..size {
                let path = proof(&leaves[..size], index);
                let (i, n) = (index as u64, size as u64);
                assert_eq!(root(leaves[index], i, n, &path).unwrap(), expected);
                for other in (0..size).filter(|other| *other != index) {
                    assert_ne!(root(leaves[other], i, n, &path).unwrap(), expected);
                    assert_ne!(root(leaves[index], other as u64, n, &path).ok(), Some(expected));
                }
                assert!(root(leaves[index], i, n, &[path.clone(), vec![vec![0; 32]]].concat()).is_err());
                if let Some((_, shorter)) = path.split_last() {
                    assert!(root(leaves[index], i, n, shorter).is_err());
                    let mut changed = path.clone();
                    changed[0][0] ^= 1;
                    assert_ne!(root(leaves[index], i, n, &changed).unwrap(), expected);
                    changed[0].pop();
                    assert!(root(leaves[index], i, n, &changed).is_err());
                }
            }
            assert!(root(leaves[0], size as u64, size as u64, &[]).is_err());
        }
        assert!(root(leaves[0], 0, 0, &[]).is_err());
        assert!(root(leaves[0], u64::MAX - 1, u64::MAX, &vec![vec![0; 32]; 65]).is_err());
    }
}
