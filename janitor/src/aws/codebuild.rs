//! AWS CodeBuild: the images that builds run in.

use coalmine_door::AwsError;

use super::Place;
use super::buckets::Bucket;
use super::ecs::still_listed;

/// Projects that `BatchGetProjects` takes in one call.
const PROJECTS_PER_CALL: usize = 100;

impl Place {
    /// Name and image of every build project.
    ///
    /// # Errors
    /// When not every page can be read, or a project that is listed is not described.
    pub async fn build_images(&self) -> Result<Vec<(String, String)>, AwsError> {
        const DESCRIBE: &str = "codebuild BatchGetProjects";
        let names = self.project_names().await?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for chunk in names.chunks(PROJECTS_PER_CALL) {
            let output = self.calls.one(Bucket::Build, DESCRIBE, || async {
                let request = self.codebuild.batch_get_projects().set_names(Some(chunk.to_vec()));
                request.send().await.map_err(|error| AwsError::of(DESCRIBE, &error))
            });
            let output = output.await?;
            let answered = output.projects().len() + output.projects_not_found().len();
            if answered < chunk.len() {
                let words = format!("{answered} answers for {} projects", chunk.len());
                return Err(AwsError::unusable(DESCRIBE, words));
            }
            missing.extend(output.projects_not_found().iter().cloned());
            for project in output.projects() {
                if let (Some(name), Some(environment)) = (project.name(), project.environment()) {
                    found.push((name.to_owned(), environment.image().to_owned()));
                }
            }
        }
        // A project that was deleted since it was listed is not listed any more.
        if !missing.is_empty() {
            still_listed(DESCRIBE, &missing, &self.project_names().await?)?;
        }
        Ok(found)
    }

    async fn project_names(&self) -> Result<Vec<String>, AwsError> {
        const LIST: &str = "codebuild ListProjects";
        self.calls
            .pages(Bucket::Build, LIST, |token| async {
                let output = self.codebuild.list_projects().set_next_token(token).send().await;
                let output = output.map_err(|error| AwsError::of(LIST, &error))?;
                Ok((output.projects.unwrap_or_default(), output.next_token))
            })
            .await
    }
}
