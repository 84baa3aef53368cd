//! AWS Lambda: functions that are made of images.

use aws_sdk_lambda::types::{FunctionVersion, PackageType};
use coalmine_door::AwsError;

use super::Place;
use super::buckets::Bucket;

/// A version of a function, `$LATEST` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// The version.
    pub version: String,
}

/// The image of a function's version.
#[derive(Clone, Debug)]
pub struct FunctionImage {
    /// `ImageUri`, as it was written.
    pub image: String,
    /// `ResolvedImageUri`: the digest that really runs.
    pub resolved: Option<String>,
}

/// What a version of a function is made of.
#[derive(Clone, Debug)]
pub enum Code {
    /// An image.
    Image(FunctionImage),
    /// An archive in S3.
    Archive,
    /// Lambda does not know it.
    Gone,
}

impl Place {
    /// Every version of every function that may be made of an image. An alias leads to one of these.
    ///
    /// # Errors
    /// When not every page can be read.
    pub async fn functions(&self) -> Result<Vec<Function>, AwsError> {
        const OPERATION: &str = "lambda ListFunctions";
        let pages = self.calls.pages(Bucket::Lambda, OPERATION, |token| async {
            let request = self.lambda.list_functions().function_version(FunctionVersion::All);
            let output = request.set_marker(token).send().await.map_err(|error| AwsError::of(OPERATION, &error))?;
            Ok((output.functions.unwrap_or_default(), output.next_marker))
        });
        // Zip is what has certainly no image. What the list says nothing of is asked for.
        let with_image = |function: &aws_sdk_lambda::types::FunctionConfiguration| {
            !matches!(function.package_type(), Some(PackageType::Zip))
        };
        let functions = pages.await?.into_iter().filter(with_image);
        let functions = functions.map(|function| Function {
            name: function.function_name.unwrap_or_default(),
            version: function.version.unwrap_or_else(|| String::from("$LATEST")),
        });
        Ok(functions.collect())
    }

    /// What a version of a function is made of.
    ///
    /// # Errors
    /// When Lambda cannot be asked, or names neither an image nor S3.
    pub async fn function_code(&self, function: &Function) -> Result<Code, AwsError> {
        const OPERATION: &str = "lambda GetFunction";
        let asked = self.calls.one(Bucket::LambdaFunction, OPERATION, || async {
            let request = self.lambda.get_function().function_name(&function.name).qualifier(&function.version);
            request.send().await.map_err(|error| AwsError::of(OPERATION, &error))
        });
        let output = match asked.await {
            Ok(output) => output,
            Err(error) if error.is("ResourceNotFoundException") => return Ok(Code::Gone),
            Err(error) => return Err(error),
        };
        let code = output.code.unwrap_or_else(|| aws_sdk_lambda::types::FunctionCodeLocation::builder().build());
        let is_archive = code.repository_type.as_deref() == Some("S3");
        let (image, resolved) = (code.image_uri, code.resolved_image_uri);
        match image.or_else(|| resolved.clone()) {
            Some(image) => Ok(Code::Image(FunctionImage { image, resolved })),
            None if is_archive => Ok(Code::Archive),
            None => {
                let Function { name, version } = function;
                Err(AwsError::unusable(OPERATION, format!("no image of the function {name}:{version}")))
            }
        }
    }
}
