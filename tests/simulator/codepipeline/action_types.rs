//! Action types: the two of AWS that are simulated, and custom ones.

use aws_sdk_codepipeline::operation::create_custom_action_type::{
    CreateCustomActionTypeInput, CreateCustomActionTypeOutput,
};
use aws_sdk_codepipeline::operation::delete_custom_action_type::{
    DeleteCustomActionTypeInput, DeleteCustomActionTypeOutput,
};
use aws_sdk_codepipeline::operation::list_action_types::{ListActionTypesInput, ListActionTypesOutput};
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionConfigurationProperty, ActionOwner, ActionType, ActionTypeId, ArtifactDetails,
};

use super::errors::{built, checked_tags, internal};
use super::page::page;
use super::state::{ActionTypeKey, CustomType, State};
use crate::{Answer, Call, ErrorReply, World};

/// Custom action types in a Region.
const CUSTOM_TYPES_MAX: usize = 50;

/// What CodePipeline's limits page says of an action type's name; the model allows 35.
const PROVIDER_LENGTH_MAX: usize = 25;

/// `listActionTypes` names no page size.
const PAGE: usize = 100;

pub(super) const S3_SOURCE: &str = "Source/AWS/S3/1";
pub(super) const MANUAL_APPROVAL: &str = "Approval/AWS/Manual/1";

impl State {
    /// The definition of a type that can be used now.
    pub(super) fn action_type(&self, key: &ActionTypeKey) -> Option<ActionType> {
        match key.to_string().as_str() {
            S3_SOURCE => s3_source().ok(),
            MANUAL_APPROVAL => manual_approval().ok(),
            _ => self.action_types.get(key).filter(|custom| !custom.deleted).map(|custom| custom.definition.clone()),
        }
    }
}

fn property(name: &str, required: bool) -> Answer<ActionConfigurationProperty> {
    let property = ActionConfigurationProperty::builder().name(name).required(required).key(required).secret(false);
    built(property.queryable(false).build())
}

fn aws_type(category: ActionCategory, provider: &str, outputs: i32, properties: &[(&str, bool)]) -> Answer<ActionType> {
    let id = ActionTypeId::builder().category(category).owner(ActionOwner::Aws).provider(provider).version("1");
    let properties = properties.iter().map(|(name, required)| property(name, *required));
    let details = |count: i32| ArtifactDetails::builder().minimum_count(count).maximum_count(count).build();
    Ok(ActionType::builder()
        .id(built(id.build())?)
        .set_action_configuration_properties(Some(properties.collect::<Answer<_>>()?))
        .input_artifact_details(details(0))
        .output_artifact_details(details(outputs))
        .build())
}

fn s3_source() -> Answer<ActionType> {
    let properties = [
        ("S3Bucket", true),
        ("S3ObjectKey", true),
        ("PollForSourceChanges", false),
        ("AllowOverrideForS3ObjectKey", false),
    ];
    aws_type(ActionCategory::Source, "S3", 1, &properties)
}

fn manual_approval() -> Answer<ActionType> {
    let properties = [("NotificationArn", false), ("CustomData", false), ("ExternalEntityLink", false)];
    aws_type(ActionCategory::Approval, "Manual", 0, &properties)
}

pub(super) fn create(
    world: &mut World,
    _call: &Call,
    input: CreateCustomActionTypeInput,
) -> Answer<CreateCustomActionTypeOutput> {
    let tags = checked_tags(input.tags)?;
    let category = input.category.ok_or_else(|| internal("category"))?;
    // The categories that the user guide names for custom actions, and Source, which its API reference allows.
    if matches!(category, ActionCategory::Approval | ActionCategory::Compute) {
        return Err(ErrorReply::validation(format!("Category {category} is not supported for custom action types")));
    }
    let id = ActionTypeId::builder()
        .category(category)
        .owner(ActionOwner::Custom)
        .set_provider(input.provider)
        .set_version(input.version);
    let id = built(id.build())?;
    if id.provider.len() > PROVIDER_LENGTH_MAX {
        return Err(ErrorReply::validation(format!(
            "Action type names cannot exceed {PROVIDER_LENGTH_MAX} characters"
        )));
    }
    let properties = input.configuration_properties.unwrap_or_default();
    check_properties(&properties)?;
    for details in [&input.input_artifact_details, &input.output_artifact_details].into_iter().flatten() {
        if details.minimum_count > details.maximum_count {
            return Err(ErrorReply::validation("Minimum artifact count cannot exceed the maximum artifact count"));
        }
    }
    if let Some(settings) = &input.settings {
        for template in
            [&settings.entity_url_template, &settings.execution_url_template, &settings.revision_url_template]
        {
            check_template(template.as_deref().unwrap_or_default(), &properties)?;
        }
    }
    let key = ActionTypeKey::from(&id);
    let definition = ActionType::builder()
        .id(id)
        .set_settings(input.settings)
        .set_action_configuration_properties(Some(properties))
        .set_input_artifact_details(input.input_artifact_details)
        .set_output_artifact_details(input.output_artifact_details)
        .build();
    let types = &mut world.codepipeline.action_types;
    match types.get(&key) {
        Some(present) if !present.deleted => {
            return Err(ErrorReply::validation(format!("Action type {key} already exists")));
        }
        Some(present) if present.definition != definition => {
            let message = format!("Action type {key} was deleted; its version can be used again only unchanged");
            return Err(ErrorReply::validation(message));
        }
        None if types.values().filter(|custom| !custom.deleted).count() >= CUSTOM_TYPES_MAX => {
            let message = format!("The limit of {CUSTOM_TYPES_MAX} custom actions in this Region has been reached");
            return Err(ErrorReply::new("LimitExceededException", message));
        }
        _ => {}
    }
    types.insert(key, CustomType { definition: definition.clone(), deleted: false });
    Ok(CreateCustomActionTypeOutput::builder().action_type(definition).set_tags(Some(tags)).build())
}

/// At most one queryable property, which must be required and not secret; names once.
fn check_properties(properties: &[ActionConfigurationProperty]) -> Answer<()> {
    for (index, property) in properties.iter().enumerate() {
        if properties[..index].iter().any(|other| other.name == property.name) {
            let message = format!("Configuration property {} is defined more than once", property.name);
            return Err(ErrorReply::validation(message));
        }
        if property.queryable && (!property.required || property.secret) {
            let message = format!("Queryable property {} must be both required and not secret", property.name);
            return Err(ErrorReply::validation(message));
        }
    }
    if properties.iter().filter(|property| property.queryable).count() > 1 {
        return Err(ErrorReply::validation("An action type can have at most one queryable property"));
    }
    Ok(())
}

/// `{Config:name}` may name only a property that is required and not secret.
fn check_template(template: &str, properties: &[ActionConfigurationProperty]) -> Answer<()> {
    for rest in template.split("{Config:").skip(1) {
        let name = rest.split('}').next().unwrap_or_default();
        if !properties.iter().any(|property| property.name == name && property.required && !property.secret) {
            let message = format!("URL template refers to {name}, which is not a required, non-secret property");
            return Err(ErrorReply::validation(message));
        }
    }
    Ok(())
}

pub(super) fn delete(
    world: &mut World,
    _call: &Call,
    input: DeleteCustomActionTypeInput,
) -> Answer<DeleteCustomActionTypeOutput> {
    let key = ActionTypeKey {
        category: input.category.map(|category| category.as_str().to_owned()).unwrap_or_default(),
        owner: "Custom".to_owned(),
        provider: input.provider.unwrap_or_default(),
        version: input.version.unwrap_or_default(),
    };
    // Deleting what is not there is no error: the operation has none for it.
    if let Some(custom) = world.codepipeline.action_types.get_mut(&key) {
        custom.deleted = true;
    }
    Ok(DeleteCustomActionTypeOutput::builder().build())
}

pub(super) fn list(world: &mut World, _call: &Call, input: ListActionTypesInput) -> Answer<ListActionTypesOutput> {
    let custom = world.codepipeline.action_types.values().filter(|custom| !custom.deleted);
    let mut types = vec![manual_approval()?, s3_source()?];
    types.extend(custom.map(|custom| custom.definition.clone()));
    if let Some(owner) = &input.action_owner_filter {
        types.retain(|found| found.id.as_ref().is_some_and(|id| id.owner == *owner));
    }
    let name = |found: &ActionType| found.id.as_ref().map(|id| ActionTypeKey::from(id).to_string()).unwrap_or_default();
    let (types, next) = page(types, name, PAGE, input.next_token.as_deref())?;
    built(ListActionTypesOutput::builder().set_action_types(Some(types)).set_next_token(next).build())
}
