//! The verifier from outside: the real tool's signatures and verdicts, and one valid signature of each
//! kind with every field changed once.

mod certificates;
mod cose;
mod jws;
mod levels;
mod made;
mod mutations;
mod revocations;
mod signer;
mod timestamps;
mod vectors;
