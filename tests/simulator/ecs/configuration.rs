//! `deploymentConfiguration`: defaults, what an update keeps, and what AWS refuses.

use aws_sdk_ecs::types::{
    AvailabilityZoneRebalancing, DeploymentAlarms, DeploymentCircuitBreaker, DeploymentConfiguration,
    DeploymentControllerType, DeploymentStrategy, ThresholdConfiguration, ThresholdType,
};

use super::rules::{invalid_parameter, not_simulated};
use crate::Answer;

/// The configuration that holds after a request gave `given`.
///
/// Assumed (the documents only say that an omitted *field of the request* keeps its value): the object is replaced as
/// a whole, but for the two percents and the strategy, which keep their former values. So a caller that sends the
/// percents alone turns circuit breaker, alarms and hooks off, and has to send the whole object that it read.
pub(super) fn complete(
    given: Option<DeploymentConfiguration>,
    former: Option<&DeploymentConfiguration>,
    controller: &DeploymentControllerType,
) -> Answer<DeploymentConfiguration> {
    let mut new = match (given, former) {
        (None, Some(former)) => return Ok(former.clone()),
        (given, _) => given.unwrap_or_else(|| DeploymentConfiguration::builder().build()),
    };
    let kept = |member: fn(&DeploymentConfiguration) -> Option<i32>| former.and_then(member);
    new.maximum_percent = new.maximum_percent.or(kept(|former| former.maximum_percent)).or(Some(200));
    new.minimum_healthy_percent =
        new.minimum_healthy_percent.or(kept(|former| former.minimum_healthy_percent)).or(Some(100));
    new.strategy =
        new.strategy.or(former.and_then(|former| former.strategy.clone())).or(Some(DeploymentStrategy::Rolling));
    new.bake_time_in_minutes = new.bake_time_in_minutes.or(Some(0));
    check(&new, controller)?;
    fill_breaker(&mut new)?;
    Ok(new)
}

fn check(new: &DeploymentConfiguration, controller: &DeploymentControllerType) -> Answer<()> {
    let (least, most) = (new.minimum_healthy_percent.unwrap_or(100), new.maximum_percent.unwrap_or(200));
    if least < 0 || most < 0 {
        return Err(invalid_parameter("Minimum healthy percent and maximum percent cannot be negative."));
    }
    if most < 100 {
        return Err(invalid_parameter("The maximumPercent value must be at least 100."));
    }
    if least > 100 {
        return Err(invalid_parameter("The minimumHealthyPercent value must be at most 100."));
    }
    if least == 100 && most == 100 {
        return Err(invalid_parameter(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    let rolling = new.strategy == Some(DeploymentStrategy::Rolling);
    let ecs = *controller == DeploymentControllerType::Ecs;
    if new.strategy == Some(DeploymentStrategy::BlueGreen) && new.bake_time_in_minutes.is_none() {
        return Err(invalid_parameter("bakeTimeInMinutes is required for the BLUE_GREEN deployment strategy."));
    }
    if !ecs && !rolling {
        return Err(invalid_parameter("A deployment strategy requires the ECS deployment controller."));
    }
    if new.bake_time_in_minutes.is_some_and(|minutes| !(0..=1440).contains(&minutes)) {
        return Err(invalid_parameter("bakeTimeInMinutes must be between 0 and 1440."));
    }
    if new.early_success_criteria.as_ref().is_some_and(|criteria| criteria.enable) {
        return Err(not_simulated("earlySuccessCriteria"));
    }
    if let Some(alarms) = &new.alarms {
        check_alarms(alarms, ecs)?;
    }
    let breaker = new.deployment_circuit_breaker.as_ref().is_some_and(|breaker| breaker.enable);
    if breaker && !ecs {
        return Err(invalid_parameter("The deployment circuit breaker requires the ECS deployment controller."));
    }
    Ok(())
}

fn check_alarms(alarms: &DeploymentAlarms, ecs: bool) -> Answer<()> {
    if alarms.enable && !ecs {
        return Err(invalid_parameter("Deployment alarms require the ECS deployment controller."));
    }
    if alarms.enable && alarms.alarm_names.is_empty() {
        return Err(invalid_parameter("alarmNames cannot be empty when deployment alarms are enabled."));
    }
    Ok(())
}

/// The circuit breaker is always shown in full, with its defaults.
fn fill_breaker(new: &mut DeploymentConfiguration) -> Answer<()> {
    let breaker = new
        .deployment_circuit_breaker
        .get_or_insert_with(|| DeploymentCircuitBreaker::builder().enable(false).rollback(false).build());
    breaker.reset_on_healthy_task.get_or_insert(true);
    match &breaker.threshold_configuration {
        None => {
            breaker.threshold_configuration =
                ThresholdConfiguration::builder().r#type(ThresholdType::BoundedPercent).value(50).build().ok();
        }
        Some(threshold) => {
            let most = if threshold.r#type == ThresholdType::Count { i32::MAX } else { 100 };
            if !(1..=most).contains(&threshold.value) {
                return Err(invalid_parameter("The circuit breaker's threshold value is out of range."));
            }
        }
    }
    Ok(())
}

/// AWS does not rebalance where a service may not hold a task more than it wants.
pub(super) fn check_rebalancing(
    rebalancing: &AvailabilityZoneRebalancing,
    configuration: &DeploymentConfiguration,
) -> Answer<()> {
    if *rebalancing == AvailabilityZoneRebalancing::Enabled && configuration.maximum_percent.unwrap_or(200) <= 100 {
        return Err(invalid_parameter(
            "Availability Zone rebalancing does not support a maximumPercent of 100 or less. Specify a maximumPercent \
             greater than 100 or disable Availability Zone rebalancing.",
        ));
    }
    Ok(())
}
