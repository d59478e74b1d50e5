use proptest::prelude::*;

use super::*;

fn role(name: &str) -> RoleName {
    RoleName::try_from(name.to_owned()).unwrap()
}

fn limits(max_length: Option<usize>, dns_label: bool) -> NameLimits {
    NameLimits { max_length, dns_label }
}

/// Renders a name of the role `deploy-prod` for `token-ada`.
fn name(source: &str, limits: NameLimits) -> Result<String, String> {
    let (role, now) = (role("deploy-prod"), "2026-11-30T07:08:09Z".parse().unwrap());
    let template = NameTemplate::parse(source).map_err(|error| error.to_string())?;
    template.check(&role, limits).map_err(|error| error.to_string())?;
    let values = NameValues { role: &role, display_name: "token-ada", now };
    template.render(&values, limits).map_err(|error| error.to_string())
}

/// Checks that a name has this form, in which `*` stands for letters and digits.
#[track_caller]
fn check_form(source: &str, expected: &str) {
    let name = name(source, NameLimits::default()).unwrap();
    let (before, after) = expected.split_once('*').unwrap();
    let random = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    assert!(random.is_some_and(|random| random.len() >= 13), "{source}: {name}");
}

#[track_caller]
fn check_refused(source: &str, expected: &str) {
    let error = name(source, NameLimits::default()).unwrap_err();
    assert!(error.starts_with("name_template: ") && error.contains(expected), "{source}: {error}");
}

#[test]
fn a_template_has_the_language_of_vaults_username_templates() {
    for (source, expected) in [
        ("v-{{.DisplayName}}-{{.RoleName}}-{{random 20}}", "v-token-ada-deploy-prod-*"),
        // Vault's default for PostgreSQL.
        (
            r#"{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}"#,
            "v-token-ad-deploy-p-*-1796022489",
        ),
        ("{{ uuid | replace `-` `` | uppercase }}", "*"),
        ("{{ .RoleName | uppercase }}_{{ uuid | lowercase }}", "DEPLOY-PROD_*"),
        (r#"{{ timestamp "2006-01-02" }}.{{ random 13 }}"#, "2026-11-30.*"),
        ("{{ unix_time_millis }}.{{ random 13 }}", "1796022489000.*"),
        ("a  {{- random 13 -}}  b", "a*b"),
        ("{{ random 30 | sha256 | truncate 20 }}", "*"),
        (r#"{{ printf "%s%%%d%v" (random 13) 7 .RoleName }}"#, "*%7deploy-prod"),
        (r#"{{ replace "pro" "d\\" .RoleName }}/{{ random 13 }}"#, r"deploy-d\d/*"),
        ("{{ (((random 13))) }}", "*"),
    ] {
        check_form(source, expected);
    }
    let digest = name("{{ .RoleName | sha256 }}{{ random 13 }}", NameLimits::default()).unwrap();
    assert!(digest.starts_with("bdbd0752f112f184") && digest.len() == 77, "{digest}");
    let short = name("{{ .RoleName | truncate_sha256 10 }}{{ random 13 }}", NameLimits::default()).unwrap();
    assert!(short.starts_with("de37ba4e51") && short.len() == 23, "{short}");
}

#[test]
fn a_template_without_enough_randomness_is_refused_with_the_reason() {
    for (source, expected) in [
        ("vault-{{.RoleName}}", "a name has only 0 random bits and needs 64"),
        ("{{ unix_time_millis }}", "only 0 random bits"),
        ("{{ sha256 .DisplayName }}", "only 0 random bits"),
        // The letters of a name may be compared without regard to their case.
        ("{{ random 12 }}", "only 59 random bits"),
        ("{{ uuid | truncate 13 }}", "only 48 random bits"),
        ("{{ random 12 | sha256 }}", "only 59 random bits"),
        ("{{ .RoleName }}{{ random 40 | truncate_sha256 9 }}", "only 37 random bits"),
        (
            r#"{{ printf "%s-%s" .DisplayName (random 20) | truncate 40 }}"#,
            "do not truncate it behind a display name",
        ),
        (r#"{{ random 20 | replace "a" "b" }}"#, "replace \"a\" could change random letters"),
    ] {
        check_refused(source, expected);
    }
}

#[test]
fn a_mistake_is_named_with_its_position_and_the_nearest_known_word() {
    for (source, expected) in [
        ("x-{{ randm 20 }}", "at character 6: there is no function randm; did you mean random?"),
        (
            "{{ .Rolename }}",
            "there is no .Rolename; there are .RoleName and .DisplayName; did you mean RoleName?",
        ),
        ("{{ base64 .RoleName }}", "there are random, uuid, truncate"),
        ("{{ if true }}", "if is not supported"),
        ("{{ random }}", "random takes 1 value, not 0"),
        ("{{ random 20 30 }}", "random takes 1 value, not 2"),
        ("{{ random 0 }}", "from 1 to 255, not 0"),
        ("{{ random 256 }}", "from 1 to 255, not 256"),
        ("{{ random \"20\" }}", "random needs a number, such as random 20"),
        ("{{ random 99999999999999999999 }}", "is not a number"),
        ("{{ random 20.5 }}", "20.5 is not a number"),
        ("{{ truncate 0 .RoleName }}", "at least 1"),
        ("{{ truncate_sha256 8 .RoleName }}", "at least 9"),
        ("{{ truncate 8 20 }}", "truncate needs a text, not the number 20"),
        ("{{ replace .RoleName \"b\" uuid }}", "replace needs a text in quotes"),
        ("{{ replace \"\" \"b\" uuid }}", "replace needs a text to find"),
        ("{{ printf \"%s\" }}", "printf takes 2 values, not 1"),
        ("{{ printf \"%x\" uuid }}", "%s, %d, %v or %%"),
        ("{{ printf \"%\" }}", "%s, %d, %v or %%"),
        ("{{ printf \"%d\" uuid }}", "wrong type for %d"),
        ("{{ timestamp \"2006-1-2\" }}", "is not understood from \"1-2\" on"),
        ("{{ uuid | 5 }}", "a pipe needs a function on its right"),
        ("{{ uuid | }}", "a pipe needs a function on its right"),
        ("{{ uuid | uuid }}", "uuid takes no value, not 1"),
        ("{{ }}", "at character 4: expected a value or a function"),
        ("{{ uuid", "at the end: expected }} or |"),
        ("{{ uuid }", "expected }} or |"),
        ("uuid }}", "}} without {{"),
        ("{{ (uuid }}", "expected ) or |"),
        ("{{ \"uuid }}", "the text has no closing \""),
        ("{{ \"\\n\" }}", "are escapes"),
        ("{{ uuid }}ä", "a name cannot contain 'ä'"),
        ("{{ uuid }}\n", "a name cannot contain '\\n'"),
    ] {
        check_refused(source, expected);
    }
    check_refused(&"x".repeat(1025), "longer than 1024 bytes");
    check_refused(&format!("{{{{ {}", "(".repeat(17)), "more than 16 nested parentheses");
    let growing = format!("{{{{ .DisplayName | replace \"x\" \"{}\" }}}}{{{{ uuid }}}}", "x".repeat(100));
    check_refused(&growing, "longer than 1024 letters");
}

#[test]
fn a_name_that_is_too_long_loses_letters_of_variables_and_never_random_ones() {
    let source = "ci-{{ .RoleName }}-{{ .DisplayName }}-{{ random 20 }}";
    let short = name(source, limits(Some(40), false)).unwrap();
    let (before, random) = short.rsplit_once('-').unwrap();
    assert_eq!((before, random.len()), ("ci-deploy-p-token-a", 20), "{short}");
    let error = name(source, limits(Some(24), false)).unwrap_err();
    assert!(
        error.contains("25 letters without those of the role and of the caller, and the API accepts 24"),
        "{error}"
    );
    // Without a limit of the API.
    assert!(
        name(
            &format!("{{{{ printf \"%s\" \"{}\" }}}}{{{{ uuid }}}}", "y".repeat(230)),
            NameLimits::default()
        )
        .is_err()
    );
}

#[test]
fn a_name_that_must_be_a_dns_label_is_one() {
    let label =
        name("_CI {{ .RoleName | uppercase }}.{{ .DisplayName }}.{{ random 20 }}_", limits(None, true))
            .unwrap();
    assert!(label.starts_with("ci-deploy-prod-token-ada-"), "{label}");
    assert!(!label.ends_with('-') && label.len() <= 63, "{label}");
    assert!(label.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '-')), "{label}");
}

#[test]
fn letters_of_a_display_name_that_a_service_might_change_are_replaced() {
    let role = role("r");
    let template = NameTemplate::parse("{{ .DisplayName }}-{{ random 20 }}").unwrap();
    let values = NameValues { role: &role, display_name: "ldap-Ünal /\n", now: Timestamp::UNIX_EPOCH };
    let name = template.render(&values, NameLimits::default()).unwrap();
    assert!(name.starts_with("ldap--nal-/--"), "{name}");
}

proptest! {
    #[test]
    fn an_accepted_template_makes_unique_names_that_fit(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "{{", "}}", "{{ random 13 }}", "{{ uuid }}", "-", "x", " ", ".RoleName", ".DisplayName", "random", "uuid", "truncate",
                "truncate_sha256", "sha256", "lowercase", "printf", "replace", "unix_time", "\"%s-%s\"", "\"-\"", "`_`", "|", "(", ")",
                "8", "13", "20", "63", "\"", "{{-", "-}}",
            ]),
            0..24,
        ),
        display_name in ".{0,40}",
        max_length in prop::option::of(40..120_usize),
        dns_label: bool,
    ) {
        assert_names_are_unique(&parts.join(" "), &display_name, NameLimits { max_length, dns_label });
    }
}
