/** Conversations: prompts from messages, functions and documents, and replies from completions. */
package panamoe.conversation;
