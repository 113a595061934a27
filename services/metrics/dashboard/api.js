// Questions to Waypost's public API.

const TOKEN = "waypost-token";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function address(path, params = {}) {
  const query = new URLSearchParams(params).toString();
  return query ? `${path}?${query}` : path;
}

/** The JSON at `path`. Throws ApiError with the service's own code and message, or `unreachable`. */
export async function get(path, params, signal) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(address(path, params), { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The service does not answer. Is it running?");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new ApiError(response.status, body.code ?? "error", body.message ?? `The service answered ${response.status}.`);
}

export const kpi = (id, params, signal) => get(`/v1/kpis/${encodeURIComponent(id)}`, params, signal);

/** The path of a person: `namespace:value`, the value as it is. */
export function personPath(identity) {
  const [namespace] = identity.split(":", 1);
  return `/v1/persons/${encodeURIComponent(namespace)}:${encodeURIComponent(identity.slice(namespace.length + 1))}`;
}
