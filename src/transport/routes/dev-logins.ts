/** `POST /dev/logins`: logs in whoever says a name, for the page of `dev`. It stands for the application's backend. */
import { Router } from 'express';
import type { LoginApi } from '../../login/api.js';
import { requiredText, type TextRule } from '../../protocol/validate.js';
import { RIGHTS } from '../../session/rights.js';
import { methodNotAllowed, safeHeaders } from '../answers.js';
import { cors } from '../cors.js';
import { bodyOf, jsonBody } from '../json-body.js';
import type { OriginPolicy } from '../origin.js';

const NAME: TextRule = { pattern: /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, rule: '1 to 64 letters, digits and . _ @ -' };
/** Under `--access rules` the page is to work as well. */
const EVERYTHING = [{ sessions: '*', allow: RIGHTS }];

/** @returns a login code, for the page of that origin alone */
export function devLoginRoutes(logins: LoginApi, origins: OriginPolicy): Router {
  const router = Router();
  router
    .route('/dev/logins')
    .all(safeHeaders, cors(origins))
    .post(...jsonBody, async (request, response) => {
      const { origin } = request.headers;
      const principal = requiredText(bodyOf(request), 'name', NAME);
      const named = { principal, rights: EVERYTHING };
      const { login_code } = await logins.create({ ...named, ...(origin !== undefined && { origin }) });
      response.status(201).json({ login_code });
    })
    .all(methodNotAllowed('POST'));
  return router;
}
