use secrecy::ExposeSecret;

use super::*;

fn vars(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
    vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secrets(value: &str) -> Vec<String> {
    let vars = vars(&[("TOKENS", value)]);
    let mut env = Env::new(&vars);
    let secrets = env.secrets("TOKENS");
    match env.finish(|| secrets) {
        Ok(secrets) => secrets
            .iter()
            .map(|secret| match secret {
                SecretRef::Plain(secret) => secret.expose_secret().to_owned(),
                other => format!("{other:?}"),
            })
            .collect(),
        Err(invalid) => vec![invalid.to_string()],
    }
}

#[test]
fn all_faults_are_told_together_and_no_value() {
    let vars = vars(&[
        ("EMPTY", "  "),
        ("NUMBER", "hunter2"),
        ("FLAG", "hunter2"),
        ("TOKEN", "ssm:"),
        ("TFE_ADDRESS", "jo:hunter2@host"),
        ("SLUICE_LOG", "hunter2"),
        ("FINE", "7"),
    ]);
    let mut env = Env::new(&vars);
    let missing = env.required::<String>("MISSING");
    let empty = env.required::<String>("EMPTY");
    let number = env.or("NUMBER", 7_u64);
    let flag = env.optional::<bool>("FLAG");
    let token = env.secret("TOKEN");
    let tokens = env.secrets("TOKENS");
    let address = env.tfe_address();
    let fine = env.or("FINE", 1_u16);
    assert_eq!(fine, Some(7));
    let invalid = env.finish(|| Some((missing?, empty?, number?, flag?, token?, tokens?, address?))).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "invalid configuration: SLUICE_LOG is not error, warn, info, debug or trace; MISSING is not set; \
         EMPTY is not set; NUMBER is not a whole number; FLAG is not true or false; \
         TOKEN names no place after ssm: or secretsmanager:; TOKENS is not set; \
         TFE_ADDRESS is not an http or https URL of a host, without path or user"
    );
    assert_eq!(format!("{invalid:?}"), invalid.to_string());
}

#[test]
fn what_is_set_is_read_and_what_is_not_has_its_default() {
    let vars = vars(&[("TABLE", " sluice "), ("KEEP_DAYS", "3"), ("OPEN", "true")]);
    let mut env = Env::new(&vars);
    let table = env.required::<String>("TABLE");
    let keep_days = env.or("KEEP_DAYS", 7_u32);
    let rate = env.or("RATE", 30_u32);
    let open = env.optional::<bool>("OPEN");
    let shut = env.optional::<bool>("SHUT");
    let address = env.tfe_address();
    let (table, keep_days, rate, open, shut, address) =
        env.finish(|| Some((table?, keep_days?, rate?, open?, shut?, address?))).unwrap();
    assert_eq!((table.as_str(), keep_days, rate, open, shut), ("sluice", 3, 30, Some(true), None));
    assert_eq!((address.url.as_str(), address.host.as_str()), ("https://app.terraform.io", "app.terraform.io"));
}

#[test]
fn several_secrets_stand_between_commas_or_on_lines() {
    assert_eq!(secrets("one"), ["one"]);
    assert_eq!(secrets("one, two\nthree,\n"), ["one", "two", "three"]);
    assert_eq!(
        secrets("ssm:/sluice/token,secretsmanager:arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"),
        [r#"Ssm("/sluice/token")"#, r#"SecretsManager("arn:aws:secretsmanager:eu-central-1:123456789012:secret:x")"#]
    );
    assert_eq!(secrets(",\n"), ["invalid configuration: TOKENS holds no secret"]);
    let no_place = "invalid configuration: TOKENS names no place after ssm: or secretsmanager:";
    assert_eq!(secrets("one,secretsmanager: "), [no_place]);
}

#[test]
fn a_secret_does_not_print_itself() {
    let vars = vars(&[("TOKEN", "hunter2")]);
    let secret = Env::new(&vars).secret("TOKEN").unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}
