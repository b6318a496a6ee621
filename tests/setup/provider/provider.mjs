// A provider of identities (OpenID Connect) on one loopback address, for the tests: `oidc-provider` as it is, with users
// who are what they say at its own page, as `subject.name` or `subject.name.group`, and a client for workloads.
//
//   node provider.mjs <directory with node_modules> <address> <port> <redirect URI>...
import { pathToFileURL } from 'node:url';

const [modules, address, port, ...redirects] = process.argv.slice(2);
const library = pathToFileURL(`${modules}/node_modules/oidc-provider/lib/index.js`);
const { default: Provider } = await import(library);

function account(id) {
  const [sub, name, group] = id.split('.');
  const claims = { sub, preferred_username: name, groups: group ? [group] : [], email: `${name}@example.com` };
  return { accountId: id, claims: async () => claims };
}

const provider = new Provider(`http://${address}:${port}`, {
  clients: [
    { client_id: 'hub', client_secret: 'the secret of the hub', redirect_uris: redirects },
    {
      client_id: 'build-17',
      client_secret: 'the secret of a build',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'], email: ['email'] },
  scopes: ['openid', 'profile', 'groups', 'email'],
  pkce: { required: () => true },
  cookies: { keys: ['for tests'] },
  findAccount: async (_, id) => account(id),
  // Nobody is asked whether the hub may know who they are.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid profile groups email');
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({ scope: 'push', audience, accessTokenFormat: 'jwt' }),
    },
  },
});

provider.listen(Number(port), address, () => console.log('the provider listens'));
