"use strict";
(() => {
  const pictures = document.getElementById("pictures");
  if (!pictures) return;
  const [search, sort, all, count, none] =
    ["search", "sort", "all", "count", "none"].map((id) => document.getElementById(id));
  const buttons = [...document.querySelectorAll("#classes button")];

  const cards = [...pictures.children].map((card) => {
    const areas = new Map((card.dataset.areas || "").split(" ").filter(Boolean).map((area) => {
      const [id, fraction] = area.split(":");
      return [id, Number(fraction)];
    }));
    return {
      card,
      areas,
      name: card.querySelector("h2").textContent,
      words: card.textContent.toLocaleLowerCase(),
      largest: Math.max(0, ...areas.values()),
      compare: card.querySelector(".compare"),
    };
  });

  const uncover = (compare, value) => compare.style.setProperty("--at", `${value}%`);
  pictures.addEventListener("input", (event) => {
    if (event.target.type === "range") uncover(event.target.parentElement, event.target.value);
  });
  all?.addEventListener("input", () => {
    for (const { compare } of cards) {
      if (!compare) continue;
      compare.querySelector("input").value = all.value;
      uncover(compare, all.value);
    }
  });

  const byName = new Intl.Collator(undefined, { numeric: true });
  const ORDERS = {
    "": () => 0,
    name: (a, b) => byName.compare(a.name, b.name),
    largest: (a, b) => b.largest - a.largest,
    classes: (a, b) => b.areas.size - a.areas.size,
  };
  const order = () => {
    const byArea = (a, b) => (b.areas.get(sort.value) ?? 0) - (a.areas.get(sort.value) ?? 0);
    const sorted = [...cards].sort(Object.hasOwn(ORDERS, sort.value) ? ORDERS[sort.value] : byArea);
    pictures.append(...sorted.map(({ card }) => card));
  };

  const filter = () => {
    const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const wanted = buttons.filter((button) => button.ariaPressed === "true").map((button) => button.dataset.class);
    let shown = 0;
    for (const each of cards) {
      const fits = words.every((word) => each.words.includes(word)) && wanted.every((id) => each.areas.has(id));
      each.card.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${cards.length}`;
    none.hidden = shown > 0;
  };

  sort.addEventListener("change", order);
  search.addEventListener("input", filter);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
      if (button.ariaPressed === "true") {
        sort.value = button.dataset.class;
        order();
      }
      filter();
    });
  }
})();
