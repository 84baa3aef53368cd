//! The cluster and the two services of an application, which have to fit each other.

use super::reader::Reader;
use crate::action_type::{CLUSTER, Property};
use crate::mismatch::{Mismatch, quoted};
use crate::names::{self, Home, Named};

/// Where an action works.
pub(super) struct Services {
    pub(super) cluster: String,
    /// The service the action changes.
    pub(super) service: String,
    /// The other service of the application.
    pub(super) other: String,
    /// What the ARNs among the values agreed on.
    pub(super) home: Option<Home>,
}

impl Services {
    /// Reads all three and notes where they disagree. `None` if one of them could not be read.
    pub(super) fn read(reader: &mut Reader<'_>, service: &Property, other: &Property) -> Option<Self> {
        let cluster = reader.read(&CLUSTER, |text| names::cluster(text, CLUSTER.expected));
        let own = reader.read(service, |text| names::service(text, service.expected));
        let others = reader.read(other, |text| names::service(text, other.expected));
        let mut home = cluster.as_ref().and_then(|cluster| cluster.home.clone());
        for (property, named) in [(service, &own), (other, &others)] {
            let Some(named) = named else { continue };
            if let Some(cluster) = &cluster {
                reader.note(property.name, check_cluster(named, &cluster.name));
            }
            reader.note(property.name, check_home(named, &mut home));
        }
        let (cluster, own, others) = (cluster?, own?, others?);
        if own.name == others.name {
            let found = format!("{}, which is Service too", quoted(&others.name));
            let mismatch = Mismatch::new(found, "two different services: a canary and a full one");
            reader.note::<()>(other.name, Err(mismatch));
        }
        Some(Self { cluster: cluster.name, service: own.name, other: others.name, home })
    }
}

fn check_cluster(service: &Named, cluster: &str) -> Result<(), Mismatch> {
    match &service.cluster {
        Some(other) if other != cluster => {
            let found = format!("a service of the cluster {}", quoted(other));
            Err(Mismatch::new(found, format!("a service of Cluster, which is {}", quoted(cluster))))
        }
        _ => Ok(()),
    }
}

/// The first ARN sets the home, the others have to agree.
fn check_home(service: &Named, home: &mut Option<Home>) -> Result<(), Mismatch> {
    match (&service.home, home.as_ref()) {
        (Some(own), Some(first)) if own != first => {
            let place = |home: &Home| format!("account {} in {}", home.account, home.region);
            let expected = format!("one home for all: another ARN names {}", place(first));
            Err(Mismatch::new(format!("a service of {}", place(own)), expected))
        }
        (Some(own), None) => {
            *home = Some(own.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}
