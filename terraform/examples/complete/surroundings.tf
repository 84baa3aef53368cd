# What a team mostly has already: a network, a load balancer, a cluster, a queue, a secret, a topic for alarms.

locals {
  zones = ["eu-central-1a", "eu-central-1b"]
}

# -- network ---------------------------------------------------------------------------------------------------------

resource "aws_vpc" "main" {
  #checkov:skip=CKV2_AWS_11:flow logs cost money for every byte; an example leaves them to the team
  #checkov:skip=CKV2_AWS_12:nothing uses the default security group
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "shop" }
}

resource "aws_subnet" "public" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 4, each.value)
  tags              = { Name = "shop-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 4, 8 + each.value)
  tags              = { Name = "shop-private-${each.key}" }
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}

# One way out for both zones: cheaper than one each, and enough for an example.
resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:it belongs to the NAT gateway
  domain = "vpc"
}

resource "aws_nat_gateway" "main" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[local.zones[0]].id
  depends_on    = [aws_internet_gateway.main]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id

  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.main.id
  }
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

# -- load balancer ---------------------------------------------------------------------------------------------------

resource "aws_security_group" "balancer" {
  name        = "shop-balancer"
  description = "The shop's load balancer"
  vpc_id      = aws_vpc.main.id
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  #checkov:skip=CKV_AWS_260:a shop is for everybody; an example has no domain and no certificate, so it is reached by HTTP
  security_group_id = aws_security_group.balancer.id
  description       = "Anybody's requests"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  security_group_id = aws_security_group.balancer.id
  description       = "Requests and health checks to the tasks"
  cidr_ipv4         = aws_vpc.main.cidr_block
  ip_protocol       = "tcp"
  from_port         = 8080
  to_port           = 8080
}

resource "aws_lb" "main" {
  #checkov:skip=CKV_AWS_150:whoever tries the example wants to destroy it afterwards
  #checkov:skip=CKV_AWS_91:where access logs go is the team's decision
  #checkov:skip=CKV2_AWS_20:an example has no domain and no certificate, so there is no HTTPS to be redirected to
  #checkov:skip=CKV2_AWS_28:what a firewall should let through is the team's decision
  name                       = "shop"
  security_groups            = [aws_security_group.balancer.id]
  subnets                    = [for subnet in aws_subnet.public : subnet.id]
  drop_invalid_header_fields = true
}

# An example has no domain, so it has no certificate: HTTP. A team has a listener with HTTPS, and gives its ARN.
resource "aws_lb_listener" "http" {
  #checkov:skip=CKV_AWS_2:an example has no domain, so it has no certificate
  #checkov:skip=CKV_AWS_103:an example has no domain, so it has no certificate
  load_balancer_arn = aws_lb.main.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}

# -- cluster, queue, secret, topic -----------------------------------------------------------------------------------

resource "aws_ecs_cluster" "main" {
  name = "main"

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_sqs_queue" "jobs" {
  name                       = "shop-jobs"
  sqs_managed_sse_enabled    = true
  visibility_timeout_seconds = 300
}

data "aws_iam_policy_document" "queue" {
  statement {
    actions   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"]
    resources = [aws_sqs_queue.jobs.arn]
  }
}

resource "aws_secretsmanager_secret" "database" {
  #checkov:skip=CKV_AWS_149:encrypted with the account's own key for secrets
  #checkov:skip=CKV2_AWS_57:the example has no database whose password could be rotated
  name = "shop/database-url"
}

resource "aws_sns_topic" "alarms" {
  name              = "shop-alarms"
  kms_master_key_id = aws_kms_key.alarms.id
}

# CloudWatch may publish to an encrypted topic only where the key's policy says so; the key of AWS's own has no such
# policy.
resource "aws_kms_key" "alarms" {
  description         = "The topic of the shop's alarms"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.alarms.json
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "alarms" {
  #checkov:skip=CKV_AWS_109:a key's own policy: without this statement nobody could ever change the key again
  #checkov:skip=CKV_AWS_111:a key's own policy speaks of that key alone, and has to call it *
  #checkov:skip=CKV_AWS_356:a key's own policy speaks of that key alone, and has to call it *
  statement {
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }

  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}
