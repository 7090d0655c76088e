//! Who stands behind the evidence, so that one holder of two names or two keys counts once.

use std::collections::BTreeMap;

use super::{Attested, Require};
use crate::signature::{Evidence, SignerName};

/// More than an honest subject has; what comes after counts for signers but not for thresholds.
const MAX_PARTIES: u32 = 128;
/// Nested thresholds have combinatorially many ways to be met; the first ones must do.
const MAX_WAYS: usize = 256;

/// A set of parties. Evidence of the same key, or of the same identity from the same issuer, is of
/// one party, and so is what is linked through others: parties never share a key or an identity.
type Set = u128;

/// Evidence that counts.
pub(super) struct Proof<'a> {
    pub(super) evidence: &'a Evidence,
    /// What it counts as, where it is an attestation: never as a signature.
    pub(super) meets: Vec<&'a Attested>,
}

/// Which parties vouched as which signer, and by attestations that are what is asked for.
pub(super) struct Parties<'a> {
    by_signer: BTreeMap<&'a SignerName, Set>,
    by_attestation: Vec<(&'a Attested, Set)>,
}

impl<'a> Parties<'a> {
    pub(super) fn of(proofs: &[Proof<'a>]) -> Self {
        let roots = unite(proofs);
        let mut numbers: BTreeMap<usize, u32> = BTreeMap::new();
        let mut parties = Self { by_signer: BTreeMap::new(), by_attestation: Vec::new() };
        for (proof, root) in proofs.iter().zip(roots) {
            let next = u32::try_from(numbers.len()).unwrap_or(MAX_PARTIES);
            let number = *numbers.entry(root).or_insert(next);
            let bit = 1u128.checked_shl(number.min(MAX_PARTIES)).unwrap_or(0);
            match proof.evidence.attestation() {
                None => *parties.by_signer.entry(proof.evidence.signer()).or_default() |= bit,
                Some(_) => parties.by_attestation.extend(proof.meets.iter().map(|met| (*met, bit))),
            }
        }
        parties
    }

    /// Whether what was proven satisfies the tree.
    pub(super) fn satisfy(&self, require: &Require) -> bool {
        match require {
            Require::Signer(name) => self.by_signer.contains_key(name),
            Require::Attested(wanted) => self.by_attestation.iter().any(|(met, _)| *met == wanted),
            Require::All(members) => members.iter().all(|member| self.satisfy(member)),
            Require::Any(members) => members.iter().any(|member| self.satisfy(member)),
            Require::AtLeast { count, of } => {
                let ways: Vec<_> = of.iter().map(|member| self.ways(member)).collect();
                at_least(*count, &ways)
            }
        }
    }

    /// The sets of parties that each suffice for a member of a threshold.
    fn ways(&self, require: &Require) -> Vec<Set> {
        let mut ways = match require {
            Require::Signer(name) => bits(self.by_signer.get(name).copied().unwrap_or(0)),
            Require::Attested(wanted) => {
                let meet = self.by_attestation.iter().filter(|(met, _)| *met == wanted);
                bits(meet.fold(0, |all, (_, bit)| all | bit))
            }
            Require::Any(members) => members.iter().flat_map(|member| self.ways(member)).collect(),
            Require::All(members) => members.iter().fold(vec![0], |ways, member| {
                let more = self.ways(member);
                ways.iter().flat_map(|a| more.iter().map(move |b| a | b)).take(MAX_WAYS).collect()
            }),
            Require::AtLeast { count, of } => {
                let members: Vec<_> = of.iter().map(|member| self.ways(member)).collect();
                disjoint_unions(*count, &members)
            }
        };
        ways.sort_unstable();
        ways.dedup();
        ways.truncate(MAX_WAYS);
        ways
    }
}

/// For each proof the first one that is of the same party.
fn unite(proofs: &[Proof<'_>]) -> Vec<usize> {
    let same = |a: &Evidence, b: &Evidence| {
        a.key() == b.key()
            || (a.identity().is_some() && (a.identity(), a.issuer()) == (b.identity(), b.issuer()))
    };
    let mut roots: Vec<usize> = (0..proofs.len()).collect();
    for i in 1..proofs.len() {
        for j in 0..i {
            if same(proofs[i].evidence, proofs[j].evidence) && roots[i] != roots[j] {
                let (keep, drop) = (roots[i].min(roots[j]), roots[i].max(roots[j]));
                roots.iter_mut().filter(|root| **root == drop).for_each(|root| *root = keep);
            }
        }
    }
    roots
}

fn bits(set: Set) -> Vec<Set> {
    (0..MAX_PARTIES).map(|i| 1 << i).filter(|bit| set & bit != 0).collect()
}

/// Whether `count` members can be met by parties of their own. Members that need one party each are
/// matched to parties; those that need several at once (`all` in a threshold) are tried first, way
/// by way, as there are few of them.
fn at_least(count: usize, members: &[Vec<Set>]) -> bool {
    let (single, several): (Vec<_>, Vec<_>) =
        members.iter().partition(|ways| ways.iter().all(|way| way.count_ones() == 1));
    let single: Vec<Set> = single.iter().map(|ways| ways.iter().fold(0, |all, way| all | way)).collect();
    (0..=several.len()).any(|taken| {
        disjoint_unions(taken, &several)
            .into_iter()
            .any(|used| taken + matching(&single.iter().map(|set| set & !used).collect::<Vec<_>>()) >= count)
    })
}

/// The unions of all choices of `count` members and a way for each that share no party.
fn disjoint_unions<W: AsRef<[Set]>>(count: usize, members: &[W]) -> Vec<Set> {
    // unions[n]: what n of the members so far can use up.
    let mut unions: Vec<Vec<Set>> = vec![Vec::new(); count + 1];
    unions[0].push(0);
    for ways in members {
        for n in (0..count).rev() {
            let more: Vec<Set> = unions[n]
                .iter()
                .flat_map(|used| {
                    ways.as_ref().iter().filter(move |way| *way & used == 0).map(move |way| way | used)
                })
                .take(MAX_WAYS)
                .collect();
            let room = &mut unions[n + 1];
            room.extend(more);
            room.sort_unstable();
            room.dedup();
            room.truncate(MAX_WAYS);
        }
    }
    unions.pop().unwrap_or_default()
}

/// The most members that can each have a party of their own: bipartite matching by augmenting
/// paths.
fn matching(members: &[Set]) -> usize {
    let mut held_by = [None; MAX_PARTIES as usize];
    (0..members.len()).filter(|member| augment(*member, members, &mut held_by, &mut 0)).count()
}

fn augment(member: usize, members: &[Set], held_by: &mut [Option<usize>], seen: &mut Set) -> bool {
    for (party, bit) in (0..MAX_PARTIES).map(|i| (i as usize, 1u128 << i)) {
        if members[member] & bit == 0 || *seen & bit != 0 {
            continue;
        }
        *seen |= bit;
        let free = match held_by[party] {
            None => true,
            Some(holder) => augment(holder, members, held_by, seen),
        };
        if free {
            held_by[party] = Some(member);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
