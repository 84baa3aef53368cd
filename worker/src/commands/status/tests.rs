use super::*;
use crate::deploy::fixtures::{alarm, at, deployment, rollout, service};
use proptest::prelude::*;

const DAY: i64 = 86_400;

fn entry(service: &str, began: i64, release: &str) -> Entry {
    Entry { cluster: "main".into(), service: service.into(), began, release: release.into() }
}

fn labels(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| format!("main/{name}")).collect()
}

fn found(pairs: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    pairs.iter().map(|(full, canary)| (&full["main/".len()..], &canary["main/".len()..])).collect()
}

fn seen(name: &str, created: i64, digest: &str) -> Seen {
    let mut deployment = deployment("SUCCESSFUL");
    deployment.created = Some(at(created));
    Seen {
        service: service(name, 4, &format!("{name}:7")),
        deployment: Some(deployment),
        brings: Some(ServiceRevision {
            arn: "arn".into(),
            revision: format!("{name}:7").parse().unwrap(),
            digests: [("app".to_owned(), digest.to_owned())].into(),
        }),
        alarms: Vec::new(),
        own_percents: None,
    }
}

#[test]
fn a_canary_is_known_by_the_releases_that_went_on_from_it() {
    let services = labels(&["shop", "probe", "mail", "mail-canary", "lonely"]);
    let history = [entry("shop", 200, "r2"), entry("probe", 150, "r2"), entry("mail", 90, "r1")];
    assert_eq!(found(&pairs(&services, &history)), [("mail", "mail-canary"), ("shop", "probe")]);
    assert_eq!(found(&pairs(&services, &[])), [("mail", "mail-canary")], "without history the names tell");
}

#[test]
fn where_one_execution_releases_several_applications_their_names_tell_them_apart() {
    let services = labels(&["shop", "shop-canary", "mail", "mail-canary"]);
    let history = [
        entry("mail", 300, "r1"),
        entry("mail-canary", 100, "r1"),
        entry("shop", 200, "r1"),
        entry("shop-canary", 110, "r1"),
    ];
    assert_eq!(found(&pairs(&services, &history)), [("mail", "mail-canary"), ("shop", "shop-canary")]);
}

#[test]
fn a_service_has_the_release_whose_action_can_have_deployed_what_it_runs() {
    let history = [entry("shop", 1_000, "r1")];
    for (created, expected) in [(1_100, Some("r1")), (1_000 + DAY + 1, None), (100, None)] {
        let rows = rows(&[seen("shop", created, "sha256:a")], &history, &Holds::default());
        assert_eq!(rows[0].release.as_deref(), expected, "{created}");
    }
    let mut rolling = seen("shop", 1_100, "sha256:a");
    rolling.service.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", "shop:8", 1), rollout("ACTIVE", "", "shop:7", 3)];
    let rows = rows(&[rolling], &history, &Holds::default());
    assert_eq!((rows[0].release.as_deref(), rows[0].well), (None, true), "what is on its way is nobody's yet");
    assert_eq!(rows[0].health, ["deploying: 1 of 4 tasks"]);
}

#[test]
fn what_is_wrong_is_said_all_at_once() {
    let mut ill = seen("shop", 1_000, "sha256:a");
    ill.service.running = 3;
    ill.service.rollouts[0].failed = 2;
    ill.service.percents = Percents { minimum: 90, maximum: 100 };
    ill.own_percents = Some(Percents { minimum: 100, maximum: 200 });
    ill.alarms = vec![alarm("5xx", "ALARM"), alarm("cpu", "OK")];
    if let Some(deployment) = &mut ill.deployment {
        deployment.status = DeploymentStatus::RolledBack;
    }
    let rows = rows(&[ill], &[], &Holds::default());
    assert!(!rows[0].well);
    assert_eq!(
        rows[0].health,
        [
            "3 of 4 tasks run",
            "2 tasks failed since the last that ran",
            "deployment ours was rolled back",
            "alarm 5xx is red",
            "a turnover left percents 90/100; its own are 100/200: the next release gives them back",
        ]
    );
}

#[test]
fn a_fleet_is_shown_as_a_table() {
    let history = [entry("shop", 1_000, "0b2f1c3d-4e5f-6071"), entry("shop-canary", 5_000, "77aa88bb-4e5f-6071")];
    let mut mail = seen("mail", 900, "sha256:c");
    mail.service.running = 1;
    let services = [mail, seen("shop", 1_060, "sha256:a"), seen("shop-canary", 5_060, "sha256:b")];
    let hold = Hold {
        canary: "main/shop-canary".into(),
        release: "77aa88bb-4e5f-6071".into(),
        since: 5_400,
        asks: "shop: Release/Approve".into(),
        restoring: None,
    };
    let holds = Holds { known: vec![hold], ..Holds::default() };
    let mut out = Vec::new();
    super::super::show::fleet(&mut out, &rows(&services, &history, &holds), 5_700).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     Service       Release    Age       Tasks   Runs            Canary                         Health
    ══════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════
     mail          —          1h 20m      1/4   mail:7                                         1 of 4 tasks run
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     shop          0b2f1c3d   1h 17m      4/4   shop:7          shop-canary: another release   well
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     shop-canary   77aa88bb   10m 40s     4/4   shop-canary:7   is that of shop                holds 77aa88bb for 5m; waits for shop: Release/Approve
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    3 services: 1 not well, 1 held for people.
    ");
}

proptest! {
    #[test]
    fn no_service_is_in_two_pairs_and_none_is_its_own_canary(
        told in proptest::collection::vec((0_usize..6, 0_i64..9, 0_usize..4), 0..30)
    ) {
        let names = ["a", "a-canary", "b", "b-canary", "c", "d"];
        let history: Vec<Entry> =
            told.iter().map(|(service, began, release)| entry(names[*service], *began, &release.to_string())).collect();
        let pairs = pairs(&labels(&names), &history);
        let mut all: Vec<&String> = pairs.iter().flat_map(|(full, canary)| [full, canary]).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        prop_assert_eq!(all.len(), count);
    }
}

#[test]
fn a_canary_whose_record_is_another_versions_says_so() {
    let holds = Holds { unread: ["main/shop".to_owned()].into(), ..Holds::default() };
    let rows = rows(&[seen("shop", 1_000, "sha256:a"), seen("mail", 1_000, "sha256:a")], &[], &holds);
    assert_eq!(
        rows.iter().map(|row| (row.well, row.health.join("; "))).collect::<Vec<_>>(),
        [
            (true, "its record is another version's: update this program to see what is held on it".to_owned()),
            (true, String::new())
        ]
    );
}
