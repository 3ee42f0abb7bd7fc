package panamoe.harness.plan;

import java.util.IdentityHashMap;
import java.util.Map;
import panamoe.model.LanguageModel;
import panamoe.plan.Plan;
import panamoe.plan.Search;
import panamoe.plan.StepTime;

/**
 * How long plans take until a prompt of each data rank has been read.
 *
 * @param tokens of the prompt
 * @param times of each plan
 */
record PromptTimes(int tokens, Map<Plan, StepTime> times) {
  static PromptTimes of(Search search, Search.Found found, int tokens) {
    Map<Plan, StepTime> times = new IdentityHashMap<>();
    try (LanguageModel model = new LanguageModel(search.config())) {
      for (Plan plan : found.front()) {
        times.put(plan, search.prompt(model, plan, tokens));
      }
    }
    return new PromptTimes(tokens, times);
  }

  StepTime of(Plan plan) {
    return times.get(plan);
  }
}
