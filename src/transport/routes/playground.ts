/** `/playground`: what the page asks for beside the gateway's own routes. It stands for the application's backend. */
import { Router } from 'express';
import { requiredText, type TextRule } from '../../protocol/validate.js';
import { RIGHTS, type Right } from '../../session/rights.js';
import { methodNotAllowed, safeHeaders } from '../answers.js';
import { cors } from '../cors.js';
import { bodyOf, jsonBody } from '../json-body.js';
import { loginIdOf } from '../login-requests.js';
import type { OriginPolicy } from '../origin.js';

const NAME: TextRule = { pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, rule: '1 to 64 letters, digits and . _ @ -' };

interface NewLogin {
  principal: string;
  rights: { sessions: string; allow: Right[] }[];
  /** The page that may exchange the code. */
  origin?: string;
}

/** All throw HoldfastError. */
export interface PlaygroundOptions {
  /** Which pages may ask. */
  origins: OriginPolicy;
  /** Absent where the gateway has no logins. */
  logins?: {
    create(login: NewLogin): Promise<{ login_code: string }>;
    /** @throws `not_found` */
    revoke(loginId: string): Promise<unknown>;
  };
  /** Absent where nothing would start the node again. @throws `not_found` */
  killNode?(nodeId: string): Promise<void>;
}

export function playgroundRoutes({ origins, logins, killNode }: PlaygroundOptions): Router {
  const router = Router();
  router.use('/playground', safeHeaders, cors(origins));
  router
    .route('/playground/capabilities')
    .get((_request, response) => {
      response.json({ logins: logins !== undefined, kill_node: killNode !== undefined });
    })
    .all(methodNotAllowed('GET, HEAD'));
  if (logins !== undefined) {
    router
      .route('/playground/logins')
      .post(...jsonBody, async (request, response) => {
        const { origin } = request.headers;
        const principal = requiredText(bodyOf(request), 'name', NAME);
        // Under `--access rules` the page is to work as well.
        const rights = [{ sessions: '*', allow: [...RIGHTS] }];
        const { login_code } = await logins.create({ principal, rights, ...(origin !== undefined && { origin }) });
        response.status(201).json({ login_code });
      })
      .all(methodNotAllowed('POST'));
    router
      .route('/playground/logins/:id/end')
      .post(async ({ params }, response) => {
        await logins.revoke(loginIdOf(params.id));
        response.status(204).end();
      })
      .all(methodNotAllowed('POST'));
  }
  if (killNode !== undefined) {
    router
      .route('/playground/nodes/:node/kill')
      .post(async ({ params }, response) => {
        await killNode(params.node);
        response.status(204).end();
      })
      .all(methodNotAllowed('POST'));
  }
  return router;
}
