// The language of the page: visible English text is looked up and replaced, as a whole, wherever it appears.
// What users wrote or made is inside `translate="no"`.
const ATTRIBUTES = ['placeholder', 'title', 'aria-label', 'alt'];
const LEFT_ALONE = '[translate="no"], script, style, textarea, code, pre';
let phrases = {};            // English -> translation
let patterns = [];           // sentences with {0}, {1} …, longest first
let known = new Map();       // sentences that were matched with a pattern before
let ours = new WeakMap();    // text node or element -> English by name ('' is the text)

const compile = (dictionary) => {
  phrases = dictionary;
  known = new Map();
  patterns = Object.keys(dictionary).filter((key) => /\{\d\}/.test(key)).sort((a, b) => b.length - a.length).map((key) => {
    const order = [...key.matchAll(/\{(\d)\}/g)].map((found) => Number(found[1]));
    const source = key.split(/\{\d\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('(.+?)');
    return { regex: new RegExp(`^${source}$`, 's'), order, text: dictionary[key] };
  });
};
const fill = (sentence, values) => sentence.replace(/\{(\d)\}/g, (_, i) => String(values[Number(i)]));
const byPattern = (text) => {
  if (known.has(text)) return known.get(text);
  let result;
  for (const { regex, order, text: translation } of patterns) {
    const found = text.match(regex);
    if (!found) continue;
    const values = [];
    order.forEach((place, i) => { values[place] = phrases[found[i + 1]] ?? found[i + 1]; });
    result = fill(translation, values);
    break;
  }
  if (known.size > 2000) known.clear();
  known.set(text, result);
  return result;
};
const translated = (english) => {
  const text = english.trim();
  if (!text || !/[A-Za-z]/.test(text) || text.length > 600) return undefined;
  const found = Object.hasOwn(phrases, text) ? phrases[text] : byPattern(text);
  return found === undefined ? undefined : english.replace(text, () => found);
};
studio.text = (sentence, ...values) => fill(phrases[sentence] ?? sentence, values.map((value) => phrases[value] ?? value));

// Gradio may write a new English text over a translation at any time, and we see our own changes too: a
// text that is what we wrote last is left alone, all else is English.
const replace = (node, name, current, write) => {
  const memory = ours.get(node) || {};
  const before = memory[name];
  const english = before && before.written === current ? before.english : current;
  const text = translated(english) ?? english;
  if (text === current) return;
  memory[name] = { english, written: text };
  ours.set(node, memory);
  write(text);
};
const visitText = (node) => {
  if (!node.parentElement?.closest(LEFT_ALONE)) replace(node, '', node.data, (text) => { node.data = text; });
};
const visitAttributes = (element) => {
  if (element.parentElement?.closest('[translate="no"]')) return;
  for (const name of ATTRIBUTES) {
    const value = element.getAttribute(name);
    if (value) replace(element, name, value, (text) => element.setAttribute(name, text));
  }
};
const visit = (root) => {
  if (root.nodeType === Node.TEXT_NODE) { visitText(root); return; }
  if (root.nodeType !== Node.ELEMENT_NODE || root.closest('[translate="no"]')) return;
  visitAttributes(root);
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (walker.currentNode.nodeType === Node.TEXT_NODE) visitText(walker.currentNode);
    else visitAttributes(walker.currentNode);
  }
};
const observer = new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === 'characterData') visitText(change.target);
    else if (change.type === 'attributes') visitAttributes(change.target);
    else change.addedNodes.forEach(visit);
  }
});

const use = async (name) => {
  const answer = name ? await fetch(`languages/${encodeURIComponent(name)}.json`) : null;
  compile(answer?.ok ? await answer.json() : {});
  document.documentElement.lang = name || 'en';
  document.documentElement.dir = phrases.rtl ? 'rtl' : 'ltr';
  observer.disconnect();
  visit(document.body);
  if (Object.keys(phrases).length) {
    observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
  }
  document.dispatchEvent(new CustomEvent('studio-language', { detail: name }));
};
const remembered = () => {
  const chosen = localStorage.getItem('studio-language');
  if (chosen !== null) return chosen;
  const list = document.getElementById('language');
  if (list?.dataset.preferred) return list.dataset.preferred;
  return navigator.language.toLowerCase().startsWith('zh') && list?.querySelector('option[value="zh-Hans"]') ? 'zh-Hans' : '';
};
const begin = () => {
  const list = document.getElementById('language');
  if (!list) { requestAnimationFrame(begin); return; }
  list.value = remembered();
  list.addEventListener('change', () => { localStorage.setItem('studio-language', list.value); use(list.value); });
  if (list.value) use(list.value);
};
begin();
