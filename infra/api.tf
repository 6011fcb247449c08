locals {
  # Each route with its function.
  routes = merge([for name, function in local.enabled : { for route in function.routes : route => name }]...)

  throttling = merge({
    default = { rate = 50, burst = 100 }
    # Each run of a workspace that is connected sends several.
    "POST /notifications" = { rate = 100, burst = 200 }
  }, var.throttling)

  public_url = var.public_url == null ? aws_apigatewayv2_api.this.api_endpoint : var.public_url
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = "Sluice: notifications, run tasks, and contexts of runs"
  protocol_type = "HTTP"
}

# Requests carry their proof in a header, which each function verifies: a signature or a token.
resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  authorization_type = "NONE"
  target             = "integrations/${aws_apigatewayv2_integration.this[each.value].id}"
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = toset(values(local.routes))

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = aws_lambda_function.this[each.key].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_lambda_permission" "route" {
  for_each = local.routes

  statement_id  = join("-", regexall("[A-Za-z0-9]+", each.key))
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${replace(each.key, " ", "")}"
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit    = local.throttling["default"].rate
    throttling_burst_limit   = local.throttling["default"].burst
    detailed_metrics_enabled = true
  }

  dynamic "route_settings" {
    for_each = { for route, limit in local.throttling : route => limit if contains(keys(local.routes), route) }
    content {
      route_key                = route_settings.key
      throttling_rate_limit    = route_settings.value.rate
      throttling_burst_limit   = route_settings.value.burst
      detailed_metrics_enabled = true
    }
  }

  # Nothing of headers, bodies or queries: what is secret is in one of these.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    format = jsonencode({
      requestId        = "$context.requestId"
      requestTime      = "$context.requestTime"
      ip               = "$context.identity.sourceIp"
      userAgent        = "$context.identity.userAgent"
      routeKey         = "$context.routeKey"
      path             = "$context.path"
      status           = "$context.status"
      responseLength   = "$context.responseLength"
      responseLatency  = "$context.responseLatency"
      integrationError = "$context.integrationErrorMessage"
    })
  }

  depends_on = [aws_apigatewayv2_route.this]
}
