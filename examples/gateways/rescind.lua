-- For HAProxy: asks the service whether a request may pass, and answers the client if it may not.
local TIMEOUT_MS = 2000
local IDENTITY = { "x-auth-subject", "x-auth-client", "x-auth-scope", "x-auth-issuer" }
-- Headers of a denial that are passed on; HAProxy writes the framing of the answer itself.
local FORWARDED = { "www-authenticate", "content-type", "cache-control", "retry-after" }

local function answer(txn, status, headers, body)
  local reply = txn:reply({ status = status })
  for name, value in pairs(headers) do reply:add_header(name, value) end
  reply:set_body(body)
  txn:done(reply)
end

core.register_action("rescind", { "http-req" }, function(txn, url)
  local sent = txn.http:req_get_headers()
  local asked, got = pcall(function()
    return core.httpclient():get({
      url = url,
      timeout = TIMEOUT_MS,
      headers = {
        -- All of them: if a client sends two, the service refuses.
        ["authorization"] = sent["authorization"] or {},
        ["x-forwarded-uri"] = { txn.sf:path() },
        ["x-forwarded-method"] = { txn.sf:method() },
      },
    })
  end)
  local from = asked and got.headers or {}
  local function first(name) return from[name] and from[name][0] end

  if asked and got.status == 200 then
    for _, name in ipairs(IDENTITY) do txn.http:req_set_header(name, first(name) or "") end
    return
  end
  -- Its type shows that this is a denial of the service; anything else means that it could not be asked.
  if not asked or first("content-type") ~= "application/problem+json" then
    return answer(txn, 503, { ["retry-after"] = "1" }, "")
  end
  local headers = {}
  for _, name in ipairs(FORWARDED) do headers[name] = first(name) end
  answer(txn, got.status, headers, got.body)
end, 1)
