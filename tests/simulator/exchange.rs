//! One call's way to the service and back, with what goes wrong on it.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::door::Skew;
use crate::faults::{Death, Drawn, Fault, FaultPlan, Freeze, Hold, Moment, SentCall, TIME_OUT, Who};
use crate::incoming::Incoming;
use crate::simulator::Simulator;

/// How far a call that was frozen before it was sent goes out after the thaw: after the timers.
const SENT_AFTER_THAW: Duration = Duration::from_millis(2);

/// Why no reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    #[error("connection reset by peer")]
    Reset,
    #[error("the connection timed out")]
    TimedOut,
}

impl Simulator {
    /// Lets things go wrong from now on. Several plans add up; of theirs the first injected goes first.
    pub fn inject(&self, plan: FaultPlan) {
        if let Some(lag) = plan.lag() {
            self.remember(Some(lag));
        }
        self.faults().inject(plan);
    }

    /// Lets nothing more go wrong. The dead stay dead, the frozen thaw when they would have.
    pub fn clear_faults(&self) {
        self.remember(None);
        self.faults().clear();
    }

    /// Refuses requests whose signature is dated too far from the account's clock, as AWS does. Off by default: callers of
    /// the loopback mount live at another date.
    pub fn check_dates(&self) {
        self.faults().checks_dates = true;
    }

    /// Sets the clock of a caller's machine, in the middle of whatever it does; its timers go on as they were. Whoever
    /// comes back after a death finds it so.
    pub fn set_clock(&self, access_key: &str, skew: Skew) {
        self.faults().set_clock(access_key, skew);
    }

    /// Answers without a `Date` from now on, as behind a proxy that takes it away. In process alone: a socket's server dates
    /// what is not dated.
    pub fn hide_dates(&self) {
        self.faults().hides_dates = true;
    }

    /// The calls that an access key has sent, oldest first, each attempt of the SDK one; also those that did not
    /// arrive. How many they are and what each is about names the points at which to kill it.
    #[must_use]
    pub fn calls_of(&self, access_key: &str) -> Vec<SentCall> {
        self.faults().sent_by(access_key).to_vec()
    }

    /// All deaths so far.
    #[must_use]
    pub fn deaths(&self) -> Vec<Death> {
        self.faults().deaths().borrow().clone()
    }

    /// Whether a caller died and has not come back.
    #[must_use]
    pub fn is_dead(&self, access_key: &str) -> bool {
        self.faults().is_dead(access_key)
    }

    /// Whether a caller stands still.
    #[must_use]
    pub fn is_frozen(&self, access_key: &str) -> bool {
        let who = Who { caller: access_key.to_owned(), door: None };
        matches!(self.faults().hold(&who, self.clock().now()), Hold::Until(_))
    }

    /// Waits until a caller is dead; at once where it is.
    pub async fn until_death(&self, access_key: &str) -> Death {
        let mut deaths = self.faults().deaths();
        loop {
            let last = deaths.borrow_and_update().iter().rev().find(|death| death.caller == access_key).cloned();
            if let Some(death) = last
                && self.is_dead(access_key)
            {
                return death;
            }
            if deaths.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Runs a caller's program until it ends or dies; dead, it is dropped where it stands.
    ///
    /// # Errors
    /// Its death.
    pub async fn while_alive<T>(&self, access_key: &str, program: impl Future<Output = T>) -> Result<T, Death> {
        tokio::select! {
            biased;
            death = self.until_death(access_key) => Err(death),
            outcome = program => Ok(outcome),
        }
    }

    /// Lets calls through the loopback mount be answered again after their caller's death. In process a new
    /// [`Simulator::sdk_config`] does it: the old one stays dead.
    pub fn revive(&self, access_key: &str) {
        self.faults().open_door(access_key);
    }

    /// Answers one request of any service, sent by the access key that signed it. Where no reply comes it is 504.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        match self.exchange(None, request).await {
            Ok(reply) => reply,
            Err(_) => Response::builder().status(504).body(Bytes::new()).unwrap_or_default(),
        }
    }

    /// The same for the two mounts, which end here. `None` for who: the access key that signed it.
    pub(crate) async fn exchange(&self, who: Option<&Who>, request: Request<Bytes>) -> Result<Response<Bytes>, Lost> {
        // What is meant for AWS is signed.
        if !request.headers().contains_key("authorization")
            && let Some(reply) = self.with_world(|world| world.hooks.answer(&request))
        {
            return Ok(reply);
        }
        let mut incoming = Incoming::read(request, self.clock().now());
        let signer = || Who { caller: incoming.call.access_key.clone(), door: None };
        let who = who.cloned().unwrap_or_else(signer);
        self.may_go_on(&who, Duration::ZERO).await;
        incoming.call.at = self.clock().now();
        self.route(&mut incoming);
        let (sent, drawn) = self.faults().send(&who, &incoming.call, &incoming.subject);
        let way = self.way();
        match drawn {
            None => Ok(self.carry(&who, way, incoming, None).await),
            Some(drawn) => self.go_wrong(&who, way, incoming, sent, drawn).await,
        }
    }

    /// There, act and back.
    async fn carry(&self, who: &Who, way: Duration, incoming: Incoming, drawn: Option<&Drawn>) -> Response<Bytes> {
        self.clock().wait(way).await;
        let reply = self.act(who, incoming, drawn).await;
        self.clock().wait(way).await;
        self.may_go_on(who, Duration::ZERO).await;
        reply
    }

    /// The act. What a process sent but a moment before its death does not arrive.
    async fn act(&self, who: &Who, incoming: Incoming, drawn: Option<&Drawn>) -> Response<Bytes> {
        if self.faults().hold(who, self.clock().now()) == Hold::Never {
            pending::<()>().await;
        }
        let (reply, found) = self.answer(incoming, drawn.map(|drawn| &drawn.fault));
        if let Some(drawn) = drawn
            && !found
        {
            self.faults().give_back(drawn);
        }
        reply
    }

    async fn go_wrong(
        &self,
        who: &Who,
        way: Duration,
        incoming: Incoming,
        sent: SentCall,
        drawn: Drawn,
    ) -> Result<Response<Bytes>, Lost> {
        match drawn.fault.clone() {
            Fault::Reset(moment) => self.lose(who, way, incoming, &drawn, moment, way, Lost::Reset).await,
            Fault::TimeOut(moment) => self.lose(who, way, incoming, &drawn, moment, TIME_OUT, Lost::TimedOut).await,
            Fault::Kill(moment) => {
                if moment == Moment::AfterTheAct {
                    self.clock().wait(way).await;
                    self.act(who, incoming, Some(&drawn)).await;
                } else {
                    self.log_lost(&incoming, &drawn.fault);
                }
                self.faults().die(who, sent, moment == Moment::AfterTheAct);
                pending().await
            }
            Fault::Delay(length) => {
                let reply = self.carry(who, way, incoming, Some(&drawn)).await;
                self.clock().wait(length).await;
                self.may_go_on(who, Duration::ZERO).await;
                Ok(reply)
            }
            Fault::Freeze(freeze, length) => {
                self.faults().freeze(who, self.clock().now() + length);
                Ok(self.freeze(who, way, incoming, drawn, freeze).await)
            }
            _ => Ok(self.carry(who, way, incoming, Some(&drawn)).await),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one loss")]
    async fn lose(
        &self,
        who: &Who,
        way: Duration,
        incoming: Incoming,
        drawn: &Drawn,
        moment: Moment,
        after: Duration,
        lost: Lost,
    ) -> Result<Response<Bytes>, Lost> {
        if moment == Moment::BeforeTheAct {
            self.log_lost(&incoming, &drawn.fault);
            self.clock().wait(way).await;
        } else {
            self.clock().wait(way).await;
            self.act(who, incoming, Some(drawn)).await;
        }
        self.clock().wait(after).await;
        self.may_go_on(who, Duration::ZERO).await;
        Err(lost)
    }

    async fn freeze(
        &self,
        who: &Who,
        way: Duration,
        incoming: Incoming,
        drawn: Drawn,
        freeze: Freeze,
    ) -> Response<Bytes> {
        match freeze {
            Freeze::BeforeSending => {
                self.log_lost(&incoming, &drawn.fault);
                self.may_go_on(who, SENT_AFTER_THAW).await;
                self.carry(who, way, incoming, None).await
            }
            Freeze::WhileSending => {
                // On its own: it goes out even where the caller (behind the loopback mount) has hung up meanwhile.
                let (simulator, process) = (self.clone(), who.clone());
                let late = tokio::spawn(async move {
                    simulator.may_go_on(&process, Duration::ZERO).await;
                    simulator.act(&process, incoming, Some(&drawn)).await
                });
                let reply = late.await.unwrap_or_default();
                self.clock().wait(way).await;
                self.may_go_on(who, Duration::ZERO).await;
                reply
            }
            Freeze::AfterSending => self.carry(who, way, incoming, Some(&drawn)).await,
        }
    }

    /// Waits while a caller is frozen, and `after` more; for good where it is dead.
    pub(crate) async fn may_go_on(&self, who: &Who, after: Duration) {
        loop {
            let now = self.clock().now();
            let hold = self.faults().hold(who, now);
            match hold {
                Hold::Go => return,
                Hold::Until(date) => {
                    self.clock().wait(date.duration_since(now).unwrap_or_default() + after).await;
                }
                Hold::Never => pending().await,
            }
        }
    }
}
