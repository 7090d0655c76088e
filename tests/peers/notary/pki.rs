//! Certificate authorities of openssl, each with the books that `openssl ca` keeps, and what they publish.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::process::{Daemon, Outcome, free_port, run};
use crate::stand::Stand;

/// A CA's extensions.
pub const CA: &str = "basicConstraints = critical,CA:true\nkeyUsage = critical,keyCertSign,cRLSign";
/// A signer's, which nobody can revoke.
pub const SIGNER: &str = "keyUsage = critical,digitalSignature\nextendedKeyUsage = codeSigning";
/// A timestamp authority's.
pub const AUTHORITY: &str = "keyUsage = critical,digitalSignature\nextendedKeyUsage = critical,timeStamping";
/// An OCSP responder's.
pub const RESPONDER: &str =
    "keyUsage = critical,digitalSignature\nextendedKeyUsage = OCSPSigning\n1.3.6.1.5.5.7.48.1.5 = ASN1:NULL";

/// A folder of keys, certificates and books in the stand's.
pub struct Pki<'a> {
    stand: &'a Stand,
}

impl<'a> Pki<'a> {
    /// An empty one, with the root `root` and the intermediate `middle` below it.
    pub fn new(stand: &'a Stand) -> Self {
        let pki = Self { stand };
        std::fs::create_dir_all(pki.path("new")).unwrap();
        std::fs::create_dir_all(pki.path("www/crl")).unwrap();
        std::fs::write(pki.path("list.cnf"), "").unwrap();
        pki.root("root");
        pki.issue("root", "middle", "P-384", CA, None);
        pki.books("middle");
        pki
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.stand.home().join("pki").join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> Outcome {
        run(self.stand.command("openssl").current_dir(self.path("")).args(arguments)).passed()
    }

    /// A self-signed CA that can issue.
    pub fn root(&self, name: &str) {
        self.books(name);
        self.request(name, "P-256");
        self.sign_request(name, &["-selfsign"], name, CA, None);
    }

    /// A certificate with these extensions, for a year or the time given. Kinds of keys: `rsa2048`, `P-256`.
    pub fn issue(&self, issuer: &str, name: &str, kind: &str, extensions: &str, lasts: Option<Duration>) {
        self.request(name, kind);
        self.sign_request(issuer, &[], name, extensions, lasts);
    }

    /// What `openssl ca` keeps for an issuer: the certificates it issued, and numbers.
    fn books(&self, name: &str) {
        let write =
            |suffix: &str, text: &str| std::fs::write(self.path(&format!("{name}.{suffix}")), text).unwrap();
        write("index", "");
        write("index.attr", "unique_subject = no\n");
        write("serial", "1000\n");
        write("crlnumber", "01\n");
        write(
            "cnf",
            &format!(
                "[ca]\ndefault_ca = this\n[this]\ndatabase = {name}.index\nserial = {name}.serial\ncrlnumber = {name}.crlnumber\n\
                 new_certs_dir = new\ncertificate = {name}.pem\nprivate_key = {name}.key\ndefault_md = sha256\npolicy = any\n\
                 unique_subject = no\ndefault_days = 365\n[any]\ncountryName = optional\nstateOrProvinceName = optional\n\
                 organizationName = optional\ncommonName = optional\n[list]\n.include list.cnf\n"
            ),
        );
    }

    fn request(&self, name: &str, kind: &str) {
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        match kind.strip_prefix("rsa") {
            Some(bits) => {
                let bits = format!("rsa_keygen_bits:{bits}");
                self.openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &bits, "-out", &key])
            }
            None => {
                let curve = format!("ec_paramgen_curve:{kind}");
                self.openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &curve, "-out", &key])
            }
        };
        let subject = format!("/C=US/ST=WA/O=acme/CN={name}");
        self.openssl(&["req", "-new", "-key", &key, "-subj", &subject, "-out", &request]);
    }

    fn sign_request(
        &self,
        issuer: &str,
        how: &[&str],
        name: &str,
        extensions: &str,
        lasts: Option<Duration>,
    ) {
        std::fs::write(self.path("extensions.cnf"), format!("[these]\n{extensions}\n")).unwrap();
        let (config, request, certificate) =
            (format!("{issuer}.cnf"), format!("{name}.csr"), format!("{name}.pem"));
        let mut arguments =
            vec!["ca", "-batch", "-notext", "-config", &config, "-in", &request, "-out", &certificate];
        arguments.extend(["-extfile", "extensions.cnf", "-extensions", "these"]);
        arguments.extend(how);
        // A timestamp's accuracy may reach back some seconds.
        let begins = moment(SystemTime::now() - Duration::from_secs(600));
        arguments.extend(["-startdate", &begins]);
        let ends = lasts.map(|lasts| moment(SystemTime::now() + lasts));
        arguments.extend(ends.iter().flat_map(|ends| ["-enddate", ends]));
        self.openssl(&arguments);
    }

    /// Takes a certificate back, with a reason as openssl spells them.
    pub fn revoke(&self, issuer: &str, name: &str, reason: &str) {
        let (config, certificate) = (format!("{issuer}.cnf"), format!("{name}.pem"));
        self.openssl(&["ca", "-config", &config, "-revoke", &certificate, "-crl_reason", reason]);
    }

    /// Rewrites the reason of all revocations in an issuer's books, as from now.
    pub fn change_reason(&self, issuer: &str, from: &str, to: &str) {
        let index = self.path(&format!("{issuer}.index"));
        let text = std::fs::read_to_string(&index).unwrap();
        let now = &moment(SystemTime::now())[2..];
        let line = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
            ["R", ends, revoked, serial, file, subject] if revoked.ends_with(from) => {
                format!("R\t{ends}\t{now},{to}\t{serial}\t{file}\t{subject}\n")
            }
            _ => format!("{line}\n"),
        };
        std::fs::write(index, text.lines().map(line).collect::<String>()).unwrap();
    }

    /// Publishes the issuer's CRL as `/crl/NAME`, valid for a day, with these extensions.
    pub fn publish_crl(&self, issuer: &str, name: &str, extensions: &str) {
        std::fs::write(self.path("list.cnf"), format!("authorityKeyIdentifier = keyid\n{extensions}\n"))
            .unwrap();
        let config = format!("{issuer}.cnf");
        self.openssl(&[
            "ca",
            "-config",
            &config,
            "-gencrl",
            "-crlhours",
            "24",
            "-crlexts",
            "list",
            "-out",
            "new/list",
        ]);
        self.openssl(&["crl", "-in", "new/list", "-outform", "DER", "-out", "new/crl"]);
        std::fs::rename(self.path("new/crl"), self.path("www/crl").join(name)).unwrap();
    }

    /// Starts openssl's OCSP responder over an issuer's books, which it reads again when they change.
    pub fn responder(&self, issuer: &str, signer: &str, port: u16) -> Daemon {
        let mut command = self.stand.command("openssl");
        command.current_dir(self.path("")).args([
            "ocsp",
            "-port",
            &port.to_string(),
            "-ignore_err",
            "-nmin",
            "10",
        ]);
        for (option, name, kind) in [
            ("-index", issuer, "index"),
            ("-CA", issuer, "pem"),
            ("-rsigner", signer, "pem"),
            ("-rkey", signer, "key"),
        ] {
            command.arg(option).arg(format!("{name}.{kind}"));
        }
        Daemon::start(&command, self.stand.home())
            .ready_when(|daemon| daemon.output().contains("waiting for"))
    }

    /// Starts a server of the published CRLs and of timestamps by the authority `tsa`, where there is one.
    pub fn publisher(&self) -> Publisher {
        let text = "[tsa]\nsigner_cert = tsa.pem\nsigner_key = tsa.key\nserial = tsa.serial\ndefault_policy = 1.2.3.4\n\
                    signer_digest = sha256\ndigests = sha256, sha384, sha512\naccuracy = secs:1\ness_cert_id_alg = sha256\n";
        std::fs::write(self.path("tsa.cnf"), text).unwrap();
        std::fs::write(self.path("tsa.serial"), "01\n").unwrap();
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/authority.py");
        let mut command = self.stand.command("python3");
        command.arg(script).arg(port.to_string()).arg(self.path(""));
        let ready = |_: &Daemon| self.stand.place.answers(port, self.stand.home());
        Publisher { _daemon: Daemon::start(&command, self.stand.home()).ready_when(ready), port }
    }
}

/// A running server of CRLs and timestamps.
pub struct Publisher {
    _daemon: Daemon,
    /// Where it listens on loopback.
    pub port: u16,
}

/// A time as openssl writes it.
fn moment(at: SystemTime) -> String {
    let at = humantime::format_rfc3339_seconds(at).to_string();
    at.chars().filter(|c| !"-:T".contains(*c)).collect()
}
