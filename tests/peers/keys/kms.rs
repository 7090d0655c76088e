//! AWS KMS, which moto's server stands in for. Through botocore it checks how requests are signed; its refusal of one
//! that is not is of another form than AWS'.

use std::io::{Read as _, Write as _};

use super::super::process::{Daemon, free_port, run};
use super::super::proxy::PORTCULLIS;
use super::Desk;

/// Makes a key of each kind by AWS' own library; prints its name, id and ARN.
const MAKE: &str = r#"
import boto3, json
kms = boto3.client("kms")
for name, spec, usage in [
    ("p256", "ECC_NIST_P256", "SIGN_VERIFY"), ("p384", "ECC_NIST_P384", "SIGN_VERIFY"),
    ("p521", "ECC_NIST_P521", "SIGN_VERIFY"), ("rsa2048", "RSA_2048", "SIGN_VERIFY"), ("rsa3072", "RSA_3072", "SIGN_VERIFY"),
    ("rsa4096", "RSA_4096", "SIGN_VERIFY"), ("sealing", "RSA_2048", "ENCRYPT_DECRYPT"),
]:
    key = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    kms.create_alias(AliasName="alias/" + name, TargetKeyId=key["KeyId"])
    print(name, key["KeyId"], key["Arn"])
def document(**statement):
    return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}})
iam = boto3.client("iam")
signs = document(Action=["kms:GetPublicKey", "kms:Sign"], Resource="*")
trusts = document(Action="sts:AssumeRole", Principal={"AWS": "*"})
role = iam.create_role(RoleName="signing", AssumeRolePolicyDocument=trusts)["Role"]["Arn"]
iam.put_role_policy(RoleName="signing", PolicyName="signs", PolicyDocument=signs)
for name, policy in [("signer", signs), ("deputy", document(Action="sts:AssumeRole", Resource=role))]:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    print(name, made["AccessKeyId"], made["SecretAccessKey"])
"#;

/// The role of those who have no key of their own.
const ROLE: &str = "arn:aws:iam::123456789012:role/signing";

/// How many requests that makes: from the next one on, moto asks who asks, and checks the request's signature.
const UNSIGNED: &str = "22";

struct Kms {
    desk: Desk,
    /// Name, id and ARN of each key.
    keys: Vec<[String; 3]>,
    /// Name, id and secret of who may take on the role, and do nothing else.
    deputy: [String; 3],
    _server: Daemon,
}

impl Kms {
    fn secret(&self) -> &str {
        &self.desk.variables.iter().find(|(name, _)| *name == "AWS_SECRET_ACCESS_KEY").unwrap().1
    }

    /// Without the signer's own key.
    fn keyless(mut self, variables: &[(&'static str, String)]) -> Self {
        let own = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        self.desk.variables.retain(|(name, _)| !own.contains(name));
        self.desk.variables.extend_from_slice(variables);
        self
    }
}

fn kms() -> Kms {
    let mut desk = Desk::new();
    let port = free_port();
    let script = desk.file("kms_server.py", include_str!("kms_server.py"));
    let mut server = desk.command("moto_python");
    server.arg(script).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    server.env("INITIAL_NO_AUTH_ACTION_COUNT", UNSIGNED);
    let answers = |_: &Daemon| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let server = Daemon::start(&server, desk.path()).ready_when(answers);
    for (name, value) in [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "s3cret".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
        // Whatever this machine is, it is not asked whose it is.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ] {
        desk.variables.push((name, value));
    }
    let made = desk.run("moto_python", &["-c", MAKE]).passed().stdout;
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    let mut keys: Vec<[String; 3]> = made.lines().map(words).collect();
    let deputy = keys.pop().unwrap();
    let [_, access_key, secret_key] = keys.pop().unwrap();
    for (name, value) in [("AWS_ACCESS_KEY_ID", access_key), ("AWS_SECRET_ACCESS_KEY", secret_key)] {
        desk.variables.retain(|(other, _)| *other != name);
        desk.variables.push((name, value));
    }
    Kms { keys, deputy, desk, _server: server }
}

#[test]
#[ignore = "needs moto, openssl"]
fn needs_moto_keys_of_kms_sign_what_their_public_halves_verify() {
    let kms = kms();
    for [name, id, arn] in kms.keys.iter().filter(|[name, ..]| name != "sealing") {
        let alias = format!("awskms:///alias/{name}");
        let public = kms.desk.public(&alias, &[]);
        for same in [format!("awskms:///{id}"), format!("awskms:///{arn}")] {
            assert_eq!(kms.desk.public(&same, &[]), public, "{same}");
        }
        kms.desk.signs(&alias, &[]);
    }
}

/// RSASSA-PSS by each hash, as notation itself verifies it.
#[test]
#[ignore = "needs moto, notation, openssl"]
fn needs_moto_notation_verifies_what_keys_of_kms_sign() {
    let kms = kms();
    let names = ["rsa2048", "rsa3072", "rsa4096", "p256"].map(|name| format!("awskms:///alias/{name}"));
    kms.desk.notation_verifies(&names, &[]);
}

#[test]
#[ignore = "needs moto"]
fn needs_moto_what_kms_refuses_is_said_and_no_secret_is() {
    let kms = kms();
    let show = |name: &str| kms.desk.portcullis(&["key", "show", name]).failed();
    show("awskms:///alias/absent").says("KMS refused GetPublicKey: NotFoundException: ");
    show("awskms:///alias/sealing").says("the key is for ENCRYPT_DECRYPT, not for signing");
    let refused = show("awskms://127.0.0.1:9/alias/p256").says("https://127.0.0.1:9/ did not answer: ");
    assert!(!refused.text.contains(kms.secret()), "{}", refused.text);
    let mut wrong = kms.desk.command(PORTCULLIS);
    wrong.args(["key", "show", "awskms:///alias/p256"]).env("AWS_SECRET_ACCESS_KEY", "s3cret");
    let refused = run(&mut wrong).failed().says("KMS refused GetPublicKey: status 403");
    assert!(!refused.text.contains("s3cret"), "{}", refused.text);
}

#[test]
#[ignore = "needs moto"]
fn needs_moto_nobody_asks_without_credentials() {
    let kms = kms();
    let secret = kms.secret().to_owned();
    let access_key =
        kms.desk.variables.iter().find(|(name, _)| *name == "AWS_ACCESS_KEY_ID").unwrap().1.clone();
    let mut kms = kms.keyless(&[]);
    let show = ["key", "show", "awskms:///alias/p256"];
    kms.desk.portcullis(&show).failed().says("no AWS credentials");
    let profile = format!("[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\n");
    kms.desk.file(".aws/credentials", &profile);
    kms.desk.portcullis(&show).passed();
    kms.desk.variables.retain(|(name, _)| !name.ends_with("REGION"));
    kms.desk.portcullis(&show).failed().says("no region is known");
}

/// As EKS has it for a service account: a token in a file, and the role that it is for.
#[test]
#[ignore = "needs moto, openssl"]
fn needs_moto_a_web_identity_signs_by_its_role() {
    let kms = kms();
    let token = kms.desk.file("token", "eyJ.e30.s").display().to_string();
    let kms = kms.keyless(&[("AWS_ROLE_ARN", ROLE.to_owned()), ("AWS_WEB_IDENTITY_TOKEN_FILE", token)]);
    kms.desk.signs("awskms:///alias/p256", &[]);
}

#[test]
#[ignore = "needs moto, openssl"]
fn needs_moto_a_profile_signs_by_the_role_that_another_takes_on() {
    let kms = kms();
    let [_, id, secret] = kms.deputy.clone();
    let kms = kms.keyless(&[("AWS_PROFILE", "signing".to_owned())]);
    let config = |role: &str| {
        let text = format!(
            "[profile signing]\nrole_arn = {role}\nsource_profile = deputy\n\
             [profile deputy]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
        );
        kms.desk.file(".aws/config", &text);
    };
    config(ROLE);
    kms.desk.signs("awskms:///alias/p256", &[]);
    // The deputy itself may sign nothing, and take on no other role.
    let show = ["key", "show", "awskms:///alias/p256"];
    config("arn:aws:iam::123456789012:role/other");
    let refused = kms.desk.portcullis(&show).failed();
    let refused =
        refused.says("no AWS credentials from STS (AssumeRole) for arn:aws:iam::123456789012:role/other: ");
    assert!(!refused.text.contains(&secret), "{}", refused.text);
    let mut deputy = kms.desk.command(PORTCULLIS);
    run(deputy.args(show).env("AWS_PROFILE", "deputy")).failed().says("KMS refused GetPublicKey: status 403");
}

/// What the role gives, as ECS' and EKS' agents give it: they are played by this test.
#[test]
#[ignore = "needs moto"]
fn needs_moto_a_container_signs_by_what_its_agent_gives() {
    let kms = kms();
    let [_, id, secret] = kms.deputy.clone();
    let take = format!(
        "import boto3, json\n\
         given = boto3.client('sts', aws_access_key_id='{id}', aws_secret_access_key='{secret}')\
         .assume_role(RoleArn='{ROLE}', RoleSessionName='task')['Credentials']\n\
         given['Token'] = given.pop('SessionToken')\n\
         given['Expiration'] = given['Expiration'].strftime('%Y-%m-%dT%H:%M:%SZ')\n\
         print(json.dumps(given))"
    );
    let given = kms.desk.run("moto_python", &["-c", &take]).passed().stdout;
    let agent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/credentials", agent.local_addr().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = agent.accept().unwrap();
        let (mut asked, mut piece) = (String::new(), [0; 1024]);
        while !asked.ends_with("\r\n\r\n") {
            let read = stream.read(&mut piece).unwrap();
            assert_ne!(read, 0, "the request ends too early");
            asked.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        let (given, length) = (given.trim(), given.trim().len());
        let answer =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{given}");
        stream.write_all(answer.as_bytes()).unwrap();
        tell.send(asked).unwrap();
    });
    let token = kms.desk.file("token", "pod\n").display().to_string();
    let variables =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token)];
    let kms = kms.keyless(&variables);
    kms.desk.public("awskms:///alias/p256", &[]);
    let asked = told.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    assert!(asked.contains("authorization: pod\r\n"), "{asked}");
}

/// A configuration names a key of KMS: what KMS says when it is read is what counts, and without an answer nothing loads.
#[test]
#[ignore = "needs moto"]
fn needs_moto_a_configuration_takes_a_key_from_kms() {
    let kms = kms();
    let config = |key: &str| {
        let text = format!(
            "store: {{ path: store }}\nsigners:\n  acme: {{ cosign: {{ key: \"{key}\", transparency_log: ignore }} }}\n\
             policies:\n  - {{ name: all, scopes: [\"docker.io/**\"], require: acme }}\n"
        );
        kms.desk.file("portcullis.yaml", &text);
        kms.desk.portcullis(&["check", "portcullis.yaml"])
    };
    config("awskms:///alias/p256").passed();
    let refused = config("awskms:///alias/absent").failed();
    refused
        .says("portcullis.yaml:3:21: signers.acme.cosign.key: KMS refused GetPublicKey: NotFoundException");
    config("awskms://127.0.0.1:9/alias/p256").failed().says("https://127.0.0.1:9/ did not answer");
}
