# A shop: one image, run as a web application, as its search, and as queue workers. Each class has a pipeline of its own.

locals {
  # The commit that Coalmine's own images were built from.
  coalmine = "8c1f2ab"

  network  = { vpc_id = aws_vpc.main.id, subnet_ids = [for subnet in aws_subnet.private : subnet.id] }
  balancer = { listener_arn = aws_lb_listener.http.arn, arn_suffix = aws_lb.main.arn_suffix, security_group_id = aws_security_group.balancer.id }
  health   = { command = ["CMD", "/app/shop", "health"] }
  secrets  = { DATABASE_URL = aws_secretsmanager_secret.database.arn }
  services = { app = module.app, search = module.search, background = module.background }
}

# -- the three classes -----------------------------------------------------------------------------------------------

# One task is the canary. It shares the target group, so that it gets as many requests as any other task.
module "app" {
  source = "../../modules/service"

  name             = "app"
  cluster_name     = aws_ecs_cluster.main.name
  vpc_id           = local.network.vpc_id
  subnet_ids       = local.network.subnet_ids
  repository       = module.build.repositories["shop"]
  container        = { port = 8080, command = ["/app/shop", "web"], health_check = local.health, secrets = local.secrets }
  tasks            = 10
  load_balancer    = merge(local.balancer, { priority = 20, path_patterns = ["/*"], health_check_path = "/healthz" })
  log_errors       = {}
  alarm_topic_arns = [aws_sns_topic.alarms.arn]
}

# The canary's requests are measured apart, and tasks surge, because autoscaling keeps few of them.
module "search" {
  source = "../../modules/service"

  name                = "search"
  cluster_name        = aws_ecs_cluster.main.name
  vpc_id              = local.network.vpc_id
  subnet_ids          = local.network.subnet_ids
  repository          = module.build.repositories["shop"]
  container           = { port = 8080, command = ["/app/shop", "search"], health_check = local.health }
  tasks               = 4
  autoscaling         = { min = 3, max = 12, requests_per_task = 600 }
  turnover            = "surge"
  canary_target_group = true
  canary_weight       = 20
  load_balancer       = merge(local.balancer, { priority = 10, path_patterns = ["/search*"], health_check_path = "/healthz" })
  alarm_topic_arns    = [aws_sns_topic.alarms.arn]
}

# No load balancer: a tenth of the workers is the canary, and takes a tenth of the messages.
module "background" {
  source = "../../modules/service"

  name             = "background"
  cluster_name     = aws_ecs_cluster.main.name
  vpc_id           = local.network.vpc_id
  subnet_ids       = local.network.subnet_ids
  repository       = module.build.repositories["shop"]
  container        = { command = ["/app/shop", "work"], health_check = local.health, secrets = local.secrets, stop_timeout = 120 }
  tasks            = 18
  canary_capacity  = "10%"
  queue_name       = aws_sqs_queue.jobs.name
  task_policies    = { queue = data.aws_iam_policy_document.queue.json }
  log_errors       = {}
  alarm_topic_arns = [aws_sns_topic.alarms.arn]
}

module "pipeline" {
  source   = "../../modules/pipeline"
  for_each = local.services

  class              = each.key
  services           = { (each.key) = each.value.release }
  pool               = module.worker.pool
  source_bucket      = module.build.source_bucket
  source_kms_key_arn = module.build.kms_key_arn
}

# One button for all three: it returns them to the last release that succeeded on each, or as far as an execution says.
# Its source has to be there, and is not read: what started a release is there as soon as there is one to go back from.
module "rollback" {
  source = "../../modules/rollback"

  cluster            = aws_ecs_cluster.main.name
  services           = keys(local.services)
  pool               = module.worker.pool
  source_bucket      = module.build.source_bucket
  source_key         = module.pipeline["app"].source_key
  source_kms_key_arn = module.build.kms_key_arn
}

# -- what builds, deploys and cleans up --------------------------------------------------------------------------------

module "build" {
  source = "../../modules/build"

  repositories      = ["shop", "coalmine-worker", "coalmine-janitor"]
  classes           = keys(local.services)
  source_repository = "acme/shop"
}

module "worker" {
  source = "../../modules/worker"

  image           = "${module.build.repository_urls["coalmine-worker"]}:${local.coalmine}"
  cluster_arn     = aws_ecs_cluster.main.arn
  vpc_id          = local.network.vpc_id
  subnet_ids      = local.network.subnet_ids
  service_arns    = flatten([for service in local.services : values(service.service_arns)])
  task_role_arns  = flatten([for service in local.services : service.role_arns])
  log_group_arns  = [for service in local.services : service.log_group_arn]
  repository_arns = [module.build.repository_arns["shop"]]
  alarm_actions   = [aws_sns_topic.alarms.arn]
}

module "janitor" {
  source = "../../modules/janitor"

  image         = "${module.build.repository_urls["coalmine-janitor"]}:${local.coalmine}"
  policy        = templatefile("${path.module}/janitor.toml", { ledger = module.worker.ledger_url })
  cluster_arn   = aws_ecs_cluster.main.arn
  vpc_id        = local.network.vpc_id
  subnet_ids    = local.network.subnet_ids
  state         = { bucket = module.worker.ledger_bucket, kms_key_arn = module.worker.kms_key_arn }
  ledger_prefix = module.worker.ledger_prefix
  alarm_actions = [aws_sns_topic.alarms.arn]
}
