"use strict";
// Questions of Rust to the program's own callbacks. Whatever a callback does (throw, reject, answer nonsense), exactly
// one answer goes back; one that never settles is Rust's to time out, and its late answer is ignored there.

const { types } = require("node:util");
const { boundary } = require("./dispatch.js");
const { KEY_BYTES } = require("./identity.js");

/** The boundary's numbers for the questions. */
const Question = Object.freeze({ Token: 1, StoreGet: 2, StoreSet: 3, FirstConnection: 4, IdentityMismatch: 5 });

/**
 * Answers one question. Never throws, and its promise never rejects.
 * @param owner keeps what callbacks throw (`thrown`), so that the very same error comes back as a cause
 * @param callbacks `token()`, and for clients `store` and `prompts`; absent ones are never asked for
 */
async function answer(owner, id, question, argument, callbacks) {
  try {
    switch (question) {
      case Question.Token:
        boundary().answerText(id, checkedToken(await callbacks.token(), callbacks.tokenField));
        break;
      case Question.StoreGet:
        await answerStoredKey(owner, id, callbacks.store, argument.daemonId);
        break;
      case Question.StoreSet:
        await callbacks.store.set(argument.daemonId, Uint8Array.from(Buffer.from(argument.publicKey, "hex")));
        boundary().answerDone(id);
        break;
      case Question.FirstConnection:
      case Question.IdentityMismatch:
        await answerPrompt(owner, id, question, argument, callbacks.prompts);
        break;
      default:
        throw new Error(`unknown question ${question} from the addon`);
    }
  } catch (error) {
    refuse(owner, id, error, false);
  }
}

function checkedToken(token, field) {
  if (typeof token !== "string" || token === "") throw new TypeError(`${field} must give a non-empty string`);
  return token;
}

async function answerStoredKey(owner, id, store, daemonId) {
  const key = await store.get(daemonId);
  if (key === null || key === undefined) {
    boundary().answerBytes(id, undefined);
  } else if (types.isUint8Array(key) && key.length === KEY_BYTES) {
    boundary().answerBytes(id, Uint8Array.from(key));
  } else {
    // Asking again would give the same: the attempt is the last one.
    refuse(owner, id, new TypeError(`identityKeyStore.get must give a Uint8Array of ${KEY_BYTES} bytes or null`), true);
  }
}

/** Only exactly `true` is consent, and a prompt that fails refuses. */
async function answerPrompt(owner, id, question, argument, prompts) {
  let consent;
  try {
    consent =
      question === Question.FirstConnection
        ? await prompts.onFirstConnection(argument)
        : await prompts.onIdentityMismatch(argument);
  } catch (error) {
    refuse(owner, id, error, true);
    return;
  }
  boundary().answerBool(id, consent === true);
}

function refuse(owner, id, error, fatal) {
  if (owner.state === "closed") return;
  owner.thrown.set(id, error);
  try {
    boundary().answerError(id, describe(error), fatal);
  } catch (fault) {
    owner.reportError(fault);
  }
}

function describe(error) {
  try {
    // A message may be anything: it is a property like any other.
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "a callback failed";
  }
}

module.exports = { answer };
