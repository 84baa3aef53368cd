//! Prints what the janitor costs in large accounts beside what it may cost, and fails beyond that. The stories in
//! `tests/janitor/large.rs` hold the same budgets, of the second account in a fortieth of it.
//!
//! ```text
//! cargo bench -p coalmine-tests --bench janitor            both accounts, and the loopback mount
//! cargo bench -p coalmine-tests --bench janitor -- small   a tenth of the second account
//! ```
//!
//! The calls are those to the simulated account on virtual time, and are the same on every machine. How long a plan of the
//! second account takes, and how much memory, `cargo bench -p coalmine-janitor` measures.

#[path = "../janitor/costs.rs"]
#[expect(dead_code, clippy::expect_used, reason = "made for the stories; the bench uses a part of it")]
mod costs;
#[path = "../janitor/grants.rs"]
#[expect(dead_code, clippy::expect_used, reason = "made for the stories; the bench uses a part of it")]
mod grants;
#[path = "../janitor/yard.rs"]
#[expect(dead_code, clippy::expect_used, reason = "made for the stories; the bench uses a part of it")]
mod yard;

use std::error::Error;
use std::time::{Duration, Instant};

use costs::Costs;
use simulator::{Estate, Settings, Simulator};
use yard::{Ended, Yard};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The defaults, for all repositories.
const PLAIN: &str = "[[rules]]\nrepositories = [\"**\"]\n";
/// One release of every ninth repository has become old enough since yesterday: the history is 100 releases long, each nine
/// days after the one before, and the repositories take turns. So it is where the janitor has worked for a while, and after
/// a [`TURN`] of it every repository is known.
const KEPT_CLEAN: &str = "[defaults]\nmin_age = \"908d\"\n[[rules]]\nrepositories = [\"**\"]\n[run]\nbudget = \"1d\"\n";
/// Days on which the janitor has worked when the second account is measured: it is about the days that follow, not about
/// those on which it meets a repository for the first time.
const TURN: usize = 11;
/// What 20 new revisions take, in a part of an account as in all of it: their definitions and manifests.
const NEW: usize = 40;
/// Simulated seconds per second on the loopback mount.
const SPEED: u32 = 10;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Run as a test, it has nothing to show.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let small = arguments.iter().any(|argument| argument == "small");
    let virtual_time = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let mut bench = Bench::default();
    println!("{:<72} {:>10} {:>12}", "", "measured", "budget");
    virtual_time()?.block_on(large(&mut bench));
    virtual_time()?.block_on(huge(&mut bench, if small { 10 } else { 1 }));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(loopback())?;
    if bench.0.is_empty() { Ok(()) } else { Err(format!("beyond the budget: {}", bench.0.join("; ")).into()) }
}

/// Prints figures, and keeps those that are beyond their budgets.
#[derive(Default)]
struct Bench(Vec<String>);

impl Bench {
    fn at_most(&mut self, what: &str, measured: usize, budget: usize) {
        line(what, &measured.to_string(), &format!("<= {budget}"));
        self.keep(what, measured <= budget);
    }

    fn keep(&mut self, what: &str, is_within: bool) {
        self.0.extend((!is_within).then(|| what.trim().to_owned()));
    }
}

fn line(what: &str, measured: &str, budget: &str) {
    println!("{what:<72} {measured:>10} {budget:>12}");
}

async fn large(bench: &mut Bench) {
    let estate = Estate::large();
    let costs = Costs::of(&Yard::new(30, PLAIN), &estate, 20).await;
    title("20,000 images in 50 repositories, 3,000 task definitions, 2,000 tasks", &estate);
    bench.at_most("  first run: calls that read ECS and ECR", costs.cold(), 3_400);
    let (took, allowed) = (costs.took.as_secs_f64(), costs.allowed());
    line("  first run: simulated time", &format!("{took:.0} s"), &format!("<= {:.0} s", allowed * 1.1));
    bench.keep("first run: simulated time", took <= allowed * 1.1);
    bench.at_most("  20 revisions later: calls that read ECS and ECR", costs.steady(), 300);
    bench.at_most("  calls for the last look before the deletes", costs.last_looks(), 180);
    bench.at_most("  calls that delete and confirm", costs.deletes(), 200);
    line("  images deleted", &costs.deleted.to_string(), "");
}

/// With `part` as the number of which it is one part; calls are then those of that part.
async fn huge(bench: &mut Bench, part: usize) {
    let estate = Estate::huge().part(part);
    let costs = Costs::after(&Yard::new(31, KEPT_CLEAN), &estate, 20, TURN).await;
    title("1,000,000 images in 2,000 repositories, 75,000 task definitions, 10,000 tasks", &estate);
    let of = if part == 1 { String::new() } else { format!(", a part of {part}") };
    line(&format!("  first run: calls that read ECS and ECR{of}"), &costs.cold().to_string(), "");
    let budget = (4_600 - NEW) / part + NEW;
    bench.at_most(&format!("  20 revisions later: calls that read{of}"), costs.steady(), budget);
    line(&format!("  repositories whose policies are read{of}"), &costs.steady["GetRepositoryPolicy"].to_string(), "");
    line(&format!("  images deleted{of}"), &costs.deleted.to_string(), "");
}

fn title(what: &str, estate: &Estate) {
    println!("{what}");
    println!(
        "  ({} repositories x {} images, {} families x {} revisions, {} tasks in {} clusters)",
        estate.repositories, estate.images, estate.families, estate.revisions, estate.tasks, estate.clusters
    );
}

/// A first scan over a real socket, in real time: what it takes longer than the rates allow is ours.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn loopback() -> Outcome<()> {
    let mut settings = Settings::seeded(32);
    settings.speed = SPEED;
    let yard = Yard::of(Simulator::new(settings), PLAIN);
    let estate = Estate::large();
    yard.build(&estate);
    let address = yard.simulator.serve(0).await?;
    let http = aws_smithy_http_client::Builder::new().build_http();
    let door =
        yard.simulator.door(yard::JANITOR_KEY).endpoint_url(format!("http://{address}")).http_client(http).build();
    let begin = Instant::now();
    let mut out = Vec::new();
    let code = yard.begin_through(&door).await?.plan(&mut out, true, None).await?;
    let ended = Ended::of(code, &out);
    let took = begin.elapsed();
    if ended.head()["complete"] != true {
        return Err(format!("the scan is incomplete: {:#}", ended.head()["missing"]).into());
    }
    let counted = |operation: &str| ended.head()["calls"][operation].as_u64().unwrap_or_default();
    let definitions = counted("ecs DescribeTaskDefinition") + counted("ecs ListTaskDefinitions");
    let allowed = Duration::from_secs_f64(definitions.saturating_sub(25) as f64 / 10.0 / f64::from(SPEED));
    println!("The first account over the loopback mount, {SPEED} times faster than real time");
    line("  a first scan", &format!("{:.1} s", took.as_secs_f64()), "");
    // Told and not held: in real time, whatever else this machine does counts as well.
    line(
        "  the part of it that AWS's rates take",
        &format!("{:.0} %", allowed.as_secs_f64() / took.as_secs_f64() * 100.0),
        ">= 90 %",
    );
    Ok(())
}
